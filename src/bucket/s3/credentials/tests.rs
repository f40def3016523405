use std::fs;

use super::*;
use crate::config::Overrides;

/// Looks for keys with these variables and these two files in `~/.aws`.
fn look(
    location: &str,
    variables: &[(&str, &str)],
    config: &str,
    credentials: &str,
    overrides: Overrides,
) -> Result<Found> {
    let home = tempfile::tempdir().expect("a directory");
    let aws = home.path().join(".aws");
    fs::create_dir(&aws).expect("writable");
    for (name, text) in [("config", config), ("credentials", credentials)] {
        if !text.is_empty() {
            fs::write(aws.join(name), text).expect("writable");
        }
    }
    let settings = Settings::from_env(&|name| match name {
        "HOME" => home.path().to_str().map(str::to_owned),
        _ => variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
    });
    find(&Location::parse(location)?, &settings.with(overrides))
}

fn id(found: Result<Found>) -> String {
    let found = found.expect("keys");
    found.keys.map_or("anonymous".to_owned(), |keys| keys.access_key_id().to_owned())
}

fn profile(name: &str) -> Overrides {
    Overrides { profile: Some(name.to_owned()), ..Default::default() }
}

const AWS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "aws"), ("AWS_SECRET_ACCESS_KEY", "s")];
const R2: [(&str, &str); 2] = [("R2_ACCESS_KEY_ID", "r2"), ("R2_SECRET_ACCESS_KEY", "s")];
const FILE: &str = "[default]\naws_access_key_id = file\naws_secret_access_key = s\n\
                    [kb]\naws_access_key_id = kb\naws_secret_access_key = s\n\
                    aws_session_token = t\n";

#[test]
fn sources_are_asked_in_order() {
    let none = Overrides::default;
    let both = [AWS, R2].concat();
    assert_eq!(id(look("r2://kbase", &both, "", FILE, none())), "r2");
    assert_eq!(id(look("s3://kbase", &both, "", FILE, none())), "aws");
    assert_eq!(id(look("r2://kbase", &AWS, "", FILE, none())), "aws");
    assert_eq!(id(look("s3://kbase", &R2, "", FILE, none())), "file");
    let named = [AWS[0], AWS[1], ("AWS_PROFILE", "kb")];
    assert_eq!(id(look("s3://kbase", &named, "", FILE, none())), "aws");
    assert_eq!(id(look("s3://kbase", &named[2..], "", FILE, none())), "kb");
    assert_eq!(id(look("s3://kbase", &both, "", FILE, profile("kb"))), "kb");
    let anonymous = Overrides { anonymous: true, ..none() };
    assert_eq!(id(look("s3://kbase", &both, "", FILE, anonymous)), "anonymous");
}

#[test]
fn a_session_token_goes_with_its_own_keys() {
    let token = |variables: &[(&str, &str)]| {
        let found = look("r2://kbase", variables, "", "", Overrides::default());
        found.expect("keys").keys.and_then(|keys| keys.session_token().map(str::to_owned))
    };
    let session = ("AWS_SESSION_TOKEN", "t");
    assert_eq!(token(&[R2[0], R2[1], session]).as_deref(), Some("t"));
    assert_eq!(token(&[AWS[0], AWS[1], session]).as_deref(), Some("t"));
    assert_eq!(token(&[R2[0], R2[1], AWS[0], AWS[1], session]), None);
    let found = look("s3://kbase", &[("AWS_PROFILE", "kb")], "", FILE, Overrides::default());
    let keys = found.expect("keys").keys.expect("signed");
    assert_eq!(keys.session_token(), Some("t"));
}

#[test]
fn a_profile_gives_endpoint_and_region_too() {
    let config = "[default]\nregion = garage\nendpoint_url = http://plain\n\
                  [profile kb]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://s3\n";
    let found = look("s3://kbase", &AWS, config, FILE, Overrides::default()).expect("keys");
    let value = |given: Option<Given>| given.map(|given| given.value);
    assert_eq!(value(found.hints.region).as_deref(), Some("garage"));
    assert_eq!(value(found.hints.endpoint).as_deref(), Some("http://plain"));
    let found = look("s3://kbase", &AWS, config, FILE, profile("kb")).expect("keys");
    assert_eq!(value(found.hints.endpoint).as_deref(), Some("http://s3"));
}

#[test]
fn what_is_wrong_is_named_and_no_key_is_shown() {
    let none = Overrides::default;
    let sso = "[profile kb]\nsso_session = corp\n";
    let role = "[profile kb]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n";
    for (found, kind, parts) in [
        (
            look("s3://kbase", &AWS[..1], "", FILE, none()),
            Kind::Credentials,
            ["AWS_SECRET_ACCESS_KEY is not", "both"],
        ),
        (
            look("r2://kbase", &R2[1..], "", FILE, none()),
            Kind::Credentials,
            ["R2_ACCESS_KEY_ID is not", "both"],
        ),
        (
            look("s3://kbase", &[("AWS_ACCESS_KEY_ID", "hunter2\n"), AWS[1]], "", "", none()),
            Kind::Credentials,
            ["AWS_ACCESS_KEY_ID holds", "line break"],
        ),
        (
            look("s3://kbase", &[], "", "", none()),
            Kind::Credentials,
            ["AWS_ACCESS_KEY_ID", "~/.aws/credentials (no file)"],
        ),
        (
            look("r2://kbase", &[], "", "", none()),
            Kind::Credentials,
            ["R2_ACCESS_KEY_ID", "--anonymous"],
        ),
        (
            look("s3://kbase", &[("AWS_ROLE_ARN", "x")], "", "", none()),
            Kind::Credentials,
            ["AWS_ROLE_ARN is set", "not supported"],
        ),
        (
            look("s3://kbase", &[], sso, "", profile("kb")),
            Kind::Credentials,
            ["`sso_session`", "export-credentials"],
        ),
        (
            look("s3://kbase", &[], role, FILE, profile("kb")),
            Kind::Credentials,
            ["`role_arn`", "not supported"],
        ),
        (
            look("s3://kbase", &[], "", FILE, profile("kbb")),
            Kind::Credentials,
            ["--profile names", "not there"],
        ),
        (
            look("s3://kbase", &[("AWS_PROFILE", "x")], "", FILE, none()),
            Kind::Credentials,
            ["AWS_PROFILE names", "not there"],
        ),
        (
            look("s3://kbase", &[], "", "[default]\naws_access_key_id = a\n", none()),
            Kind::Credentials,
            ["no aws_secret_access_key", "add it"],
        ),
        (
            look("s3://kbase", &[], "", "[default]\nhunter2\n", none()),
            Kind::Config,
            ["line 2", "NAME = VALUE"],
        ),
        (
            look("s3://kbase", &[("AWS_CONFIG_FILE", "/nowhere/config")], "", FILE, none()),
            Kind::Config,
            ["AWS_CONFIG_FILE", "is not there"],
        ),
    ] {
        let error = found.expect_err(parts[0]);
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_broken_file_that_nobody_needs_stops_nobody() {
    let variables = [AWS[0], AWS[1], ("AWS_ENDPOINT_URL", "http://x"), ("AWS_REGION", "y")];
    assert_eq!(id(look("s3://kbase", &variables, "no", "no", Overrides::default())), "aws");
}
