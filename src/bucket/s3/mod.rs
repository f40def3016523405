//! A bucket over the S3 protocol: R2, MinIO, Garage, SeaweedFS, AWS.
//!
//! An SDK alone gives a client for AWS: checksums that R2 refuses, retries that know no deadline,
//! bodies of any length, errors by operation. [`S3Bucket`] keeps of it what is hard (signatures,
//! endpoints, XML) and does the rest itself: credentials in [`credentials`], the socket's side in
//! [`wire`] and [`connection`], what an answer means in [`errors`], how often to ask in [`retry`], pages in
//! [`list`], bytes in [`get`], and in [`peek`] those of an object that nobody has listed.
//! What writes an index, in `write` and `upload`, has a bucket of its own and is none.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use aws_sdk_s3::{
    Client,
    config::{
        AppName, BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use bytes::Bytes;

use super::{Bucket, BucketId, Call, GetRequest, Got, ListPage, ListRequest, Object, Permits};
use crate::{
    config::{Location, Settings, endpoint::Endpoint},
    error::{Error, Kind, Result},
    platform::{BoxFuture, Platform},
};

mod connection;
mod credentials;
pub(crate) mod diagnose;
mod errors;
mod get;
mod list;
mod peek;
mod retry;
#[cfg(test)]
mod tests;
mod trust;
#[cfg(feature = "publish")]
mod upload;
mod wire;
#[cfg(feature = "publish")]
pub(super) mod write;

/// A bucket, or the part of it below a prefix.
pub struct S3Bucket {
    client: Client,
    bucket: String,
    /// Empty, or ending in `/`: every key of the bucket kind is relative to it.
    root: String,
    id: BucketId,
    permits: Permits,
    platform: Platform,
    heard: Arc<wire::Heard>,
    /// This server's listings write a space as `%20`, so a `+` in them is itself.
    plain_plus: AtomicBool,
    anonymous: bool,
    endpoint: Endpoint,
    /// Where the keys come from, in words, for the operator.
    keys_from: String,
}

impl fmt::Debug for S3Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Bucket").field("id", &self.id).finish_non_exhaustive()
    }
}

impl S3Bucket {
    /// Opens the bucket at a location. Sends nothing: a token that may only read objects of one
    /// bucket is refused whatever a client could ask to see whether it is welcome.
    ///
    /// # Errors
    /// [`Kind::Config`] for settings that are wrong, [`Kind::Credentials`] where there are no keys.
    pub fn open(
        location: &Location,
        settings: &Settings,
        permits: Permits,
        platform: &Platform,
    ) -> Result<Self> {
        let (Location::R2 { bucket, prefix, .. } | Location::S3 { bucket, prefix }) = location
        else {
            return Err(Error::new(Kind::Config, "the location is not a bucket")
                .hint("write r2://BUCKET or s3://BUCKET"));
        };
        let found = credentials::find(location, settings)?;
        let endpoint = Endpoint::resolve(location, settings, &found.hints)?;
        let (http, heard) = wire::client(&endpoint, settings, permits.size())?;
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint.url)
            .region(Region::new(endpoint.region.clone()))
            .force_path_style(endpoint.path_style)
            .http_client(http)
            // The SDK's defaults of 2025 send checksums that R2 and older servers answer with
            // 501, and check a range against the checksum of the whole object.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // Takes a slow reader for a stalled server (aws-sdk-rust #1202).
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled());
        if let Ok(name) = AppName::new("r2vfs") {
            config = config.app_name(name);
        }
        let anonymous = found.keys.is_none();
        let config = match found.keys {
            Some(keys) => config.credentials_provider(keys),
            None => config.allow_no_auth(),
        };
        Ok(Self {
            client: Client::from_conf(config.build()),
            bucket: bucket.clone(),
            root: prefix.clone(),
            id: BucketId::of(&["s3", &endpoint.url, bucket, prefix]),
            permits,
            platform: platform.clone(),
            heard,
            plain_plus: AtomicBool::new(false),
            anonymous,
            endpoint,
            keys_from: found.from,
        })
    }

    /// This machine's clock, in seconds since the epoch.
    fn now(&self) -> i64 {
        i64::try_from(self.platform.wall_clock().as_secs()).unwrap_or(i64::MAX)
    }

    fn tries(&self, call: &Call) -> retry::Tries<'_> {
        retry::Tries::new(&self.platform, call.deadline, self.heard.answered())
    }
}

impl Bucket for S3Bucket {
    fn id(&self) -> BucketId {
        self.id
    }

    fn worth_disk_cache(&self) -> bool {
        true
    }

    fn trusts(&self, _: &Object) -> bool {
        // An ETag stands for the bytes, and If-Match holds the server to it.
        true
    }

    fn list(&self, call: &Call, request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        let call = call.clone();
        Box::pin(async move { self.page(&call, &request).await })
    }

    fn get(&self, call: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>> {
        let call = call.clone();
        Box::pin(async move { self.bytes(&call, &request).await })
    }

    fn peek(
        &self,
        call: &Call,
        key: &str,
        max: u64,
    ) -> BoxFuture<'_, Result<Option<(Object, Bytes)>>> {
        let (call, key) = (call.clone(), key.to_owned());
        Box::pin(async move { self.small(&call, &key, max).await })
    }
}
