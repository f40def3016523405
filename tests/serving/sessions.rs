//! Sessions: what all calls of a tenant may cost together, through every door.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::TestServer;

use super::{
    client::Answer,
    program::Serving,
    tenants::{new_token, tenant},
};

/// One tenant of `store`, with `session` in its session's table.
struct Bounded {
    server: Serving,
    token: String,
}

impl Bounded {
    fn new(store: &TestServer, more: &str, session: &str) -> Self {
        let (token, digest) = new_token();
        let config = tenant("t", &digest, &store.location(""), more);
        let config = format!("{config}[tenant.session]\n{session}\n");
        Self { server: Serving::with(&[], Some(&config), &store.env()), token }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn call(&self, tool: &str, arguments: &Value) -> Answer {
        self.server.call_as(Some(&self.token), tool, arguments, &[])
    }

    fn object(&self, path: &str, range: Option<&str>) -> Answer {
        let bearer = self.bearer();
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(range.map(|range| ("Range", range)));
        self.server.get(&format!("/v1/object{path}"), &headers)
    }

    /// The result of an MCP request, or the text of its error.
    fn mcp(&self, method: &str, params: &Value) -> Result<Value, String> {
        let bearer = self.bearer();
        let headers = [("Authorization", bearer.as_str())];
        let told = super::mcp::post(self.server.address, &headers, method, params).json();
        match told["error"]["message"].as_str() {
            Some(message) => Err(message.to_owned()),
            None => Ok(told["result"].clone()),
        }
    }

    /// The events of a grep for `needle`, and the line that ends them.
    fn stream(&self) -> (Vec<String>, Value) {
        let accept = [("Accept", "application/x-ndjson")];
        let arguments = json!({"pattern": "needle", "output_mode": "content"});
        let answer = self.server.call_as(Some(&self.token), "grep", &arguments, &accept).is(200);
        let mut lines: Vec<String> = answer.text().lines().map(str::to_owned).collect();
        let last = lines.pop().expect("an envelope");
        let last: Value = serde_json::from_str(&last).expect("JSON");
        assert_eq!(last["type"], "envelope", "{answer}");
        (lines, last)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_counts_its_calls() {
    let store = TestServer::start().await;
    store.store().put("page.md", "needle\n");
    let tenant = Bounded::new(&store, "", "calls = 5");
    tenant.object("/page.md", None).is(200);
    tenant.mcp("resources/list", &json!({})).expect("a list");
    tenant.mcp("resources/read", &json!({"uri": "r2vfs:///page.md"})).expect("a file");
    assert_eq!(tenant.stream().0.len(), 1);
    tenant.call("list", &json!({})).is(200);
    store.reset();
    assert_eq!(tenant.object("/page.md", None).is(413).kind(), "budget");
    let uri = json!({"uri": "r2vfs:///page.md"});
    for refused in [tenant.mcp("resources/list", &json!({})), tenant.mcp("resources/read", &uri)] {
        let message = refused.expect_err("the session is spent");
        assert!(message.contains("the budget of this session is spent: 5 calls"), "{message}");
    }
    let accept = [("Accept", "application/x-ndjson")];
    let grep = json!({"pattern": "needle"});
    tenant.server.call_as(Some(&tenant.token), "grep", &grep, &accept).is(413);
    let counts = store.counts();
    assert_eq!(counts.lists + counts.gets, 0, "nothing is sent for a session that is spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_resources_are_paid_by_their_length() {
    let store = TestServer::start().await;
    store.store().put("page.md", "é".repeat(500));
    store.store().put("page.bin", vec![0xff; 900]);
    for (more, session, what) in
        [("", "chars = 1500", "500 characters left"), ("", "bytes = 1500", "500 bytes left")]
    {
        let tenant = Bounded::new(&store, more, session);
        assert_eq!(tenant.object("/page.md", None).is(200).body.len(), 1000);
        let refused = tenant.object("/page.md", None).is(413);
        assert!(refused.kind() == "budget" && refused.text().contains(what), "{refused}");
        assert_eq!(tenant.object("/page.md", Some("bytes=0-99")).is(206).body.len(), 100);
    }
    let tenant = Bounded::new(&store, "max_bytes = 500\n", "calls = 100");
    let refused = tenant.object("/page.md", None).is(413);
    assert!(refused.text().contains("a call may bring 500 bytes"), "{refused}");
    assert_eq!(tenant.object("/page.md", Some("bytes=500-999")).is(206).body.len(), 500);

    let tenant = Bounded::new(&store, "", "chars = 1800");
    let read =
        |name: &str| tenant.mcp("resources/read", &json!({"uri": format!("r2vfs:///{name}")}));
    read("page.md").expect("500 of 1800");
    read("page.bin").expect("1200 more, in base 64");
    tenant.mcp("resources/list", &json!({})).expect_err("a list is longer than the rest");
    let refused = read("page.md").expect_err("100 are left");
    assert!(refused.contains("the budget of this session is spent: 1800 characters"), "{refused}");
    tenant.object("/page.md", Some("bytes=0-99")).is(206);
    let refused = tenant.object("/page.md", Some("bytes=0-0")).is(413);
    assert!(refused.text().contains("spent: 1800 characters"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_stops_where_the_session_is_spent_and_says_so() {
    let store = TestServer::start().await;
    store.store().fill((0..300).map(|n| (format!("{n:03}.md"), "a néedle, a needle\n")));
    let tenant = Bounded::new(&store, "", "chars = 5000");
    let (lines, last) = tenant.stream();
    let chars: usize = lines.iter().map(|line| line.chars().count() + 1).sum();
    assert!((4900..=5000).contains(&chars), "{chars} characters");
    assert_eq!(last["complete"], false, "{last}");
    assert_eq!(last["incomplete"][0]["reason"], "budget", "{last}");
    let why = last["incomplete"][0]["detail"].as_str().expect("text");
    assert!(why.contains("the budget of this session is spent: 5000 characters"), "{why}");
    tenant.call("list", &json!({})).is(413);

    // More than one call takes beforehand.
    store.store().put("many.md", "needle\n".repeat(1500));
    let tenant = Bounded::new(&store, "", "results = 1600");
    let (lines, last) = tenant.stream();
    assert_eq!((lines.len(), &last["complete"]), (1600, &json!(false)));
    assert!(last["incomplete"][0].to_string().contains("1600 results"), "{last}");
    let tenant = Bounded::new(&store, "", "chars = 1000000");
    let (lines, last) = tenant.stream();
    assert_eq!((lines.len(), &last["complete"]), (1800, &json!(true)), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_side_by_side_do_not_overrun_a_session() {
    let store = TestServer::start().await;
    store.store().fill((0..300).map(|n| (format!("spent/{n}.md"), "needle\n")));
    store.store().fill((0..30).map(|n| (format!("free/{n}.md"), "needle\n")));
    let ((spent, spent_digest), (free, free_digest)) = (new_token(), new_token());
    let tenant = |name: &str, digest: &str, more: &str| {
        format!(
            "[[tenant]]\nname = \"{name}\"\ntokens = [\"{digest}\"]\nconcurrency = 16\n\
             memory_cache_mib = 0\n{more}[[tenant.mount]]\npoint = \"/\"\nlocation = '{}'\n",
            store.location(&format!("{name}/"))
        )
    };
    let config = tenant("free", &free_digest, "")
        + &tenant("spent", &spent_digest, "")
        + "[tenant.session]\nrequests = 50\n";
    let server = Serving::with(&[], Some(&config), &store.env());
    store.faults().delay(Duration::from_millis(20));
    store.reset();
    let call = |token: &str, n: usize| {
        let arguments = json!({"pattern": format!("nowhere{n}"), "output_mode": "count"});
        server.call_as(Some(token), "grep", &arguments, &[])
    };
    let (call, spent) = (&call, spent.as_str());
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12).map(|n| scope.spawn(move || call(spent, n))).collect();
        calls.into_iter().map(|call| call.join().expect("an answer")).collect()
    });
    for answer in answers {
        match answer.status {
            200 => {
                let told = answer.json()["envelope"]["incomplete"].to_string();
                assert!(told.contains("50 requests"), "{answer}");
            }
            _ => assert_eq!(answer.is(413).kind(), "budget"),
        }
    }
    let counts = store.counts();
    let sent = counts.lists + counts.gets;
    assert!((45..=50).contains(&sent), "{sent} requests were sent");
    let refused = server.call_as(Some(spent), "list", &json!({}), &[]).is(413);
    assert!(refused.text().contains("session"), "{refused}");
    let bearer = format!("Bearer {spent}");
    server.get("/v1/object/1.md", &[("Authorization", &bearer)]).is(413);
    assert_eq!(call(&free, 0).is(200).json()["envelope"]["complete"], true);
}
