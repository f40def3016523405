//! Errors as a model meets them.

use r2vfs::{sandbox::SandboxOptions, vfs::Mount};
use serde_json::json;

use super::say;
use crate::support::{
    Fault, Rule, TestServer,
    kit::{s3_bucket, sandbox_with},
};

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_no_bucket_endpoint_or_prefix() {
    let server = TestServer::start().await;
    let bucket = "kb-7f3e";
    server.bucket(bucket).put("private-prefix/a.md", "needle\n");
    let location = format!("s3://{bucket}/private-prefix/");
    let mount = Mount { point: "/".into(), bucket: s3_bucket(&server, &location) };
    let sandbox = sandbox_with(vec![mount], SandboxOptions::default());
    for fault in [
        Fault::forbidden("AccessDenied"),
        Fault::forbidden("InvalidAccessKeyId"),
        Fault::forbidden("SignatureDoesNotMatch"),
        Fault::Html(404),
        Fault::Error { status: 404, code: "NoSuchBucket", retry_after: None },
    ] {
        server.faults().add(Rule::all(fault).times(20));
        for (tool, arguments) in [
            ("list", json!({})),
            ("stat", json!({"path": "/b.md"})),
            ("read", json!({"path": "/a.md"})),
            ("glob", json!({"pattern": "**"})),
            ("grep", json!({"pattern": "needle"})),
        ] {
            let output = say(&sandbox, tool, arguments).await;
            let text = output.text();
            let address = server.address().to_string();
            for secret in ["private-prefix", bucket, &*address, "127.0.0.1", "http"] {
                assert!(!text.contains(secret), "{tool}: {secret} in {text}");
            }
        }
    }
}
