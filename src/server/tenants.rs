//! Which token is whose, and how that changes while the server runs.
//!
//! Changing a live table entry by entry lets a request see half of it, and dropping a tenant's
//! sandbox with every reload throws its cache away. [`Open`] is a whole table that is replaced at
//! once; a tenant whose plan is unchanged is carried over as it is.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    Config, TokenDigest,
    config::TenantPlan,
    tenant::{Tenant, TenantOptions},
};
use crate::error::{Error, Result};

/// The tenants that are served now.
#[derive(Debug)]
pub struct Open {
    /// Tokens, and whose each is.
    digests: Vec<TokenDigest>,
    owners: Vec<Arc<Tenant>>,
    by_name: BTreeMap<String, (TenantPlan, Arc<Tenant>)>,
    /// Who is served without a token; only on the loopback.
    anyone: Option<Arc<Tenant>>,
    metrics_token: Option<TokenDigest>,
}

/// A tenant has at most this part of the requests under way, where there are several: three whose
/// buckets hang leave the rest their share.
const SHARES: usize = 4;

impl Open {
    /// One tenant for whoever can connect.
    pub fn anyone(tenant: Arc<Tenant>) -> Self {
        Self {
            digests: Vec::new(),
            owners: Vec::new(),
            by_name: BTreeMap::new(),
            anyone: Some(tenant),
            metrics_token: None,
        }
    }

    /// The tenants of a configuration; those of `before` whose plan is the same are kept.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) for mounts that do not fit together.
    pub fn new(
        config: &Config,
        before: Option<&Open>,
        options: &TenantOptions,
        wrong: &mut dyn FnMut(&Error),
    ) -> Result<Self> {
        let mut open = Self {
            digests: Vec::new(),
            owners: Vec::new(),
            by_name: BTreeMap::new(),
            anyone: before.and_then(|before| before.anyone.clone()),
            metrics_token: config.metrics_token,
        };
        // One whose bucket hangs holds its share and no more.
        let share = match config.tenants.len() {
            1 => options.permits.size(),
            _ => options.permits.size().div_ceil(SHARES),
        };
        for (name, plan) in &config.tenants {
            let kept = before
                .and_then(|before| before.by_name.get(name))
                .filter(|(old, _)| same_sandbox(old, plan))
                .map(|(_, tenant)| Arc::clone(tenant));
            let tenant = match kept {
                Some(tenant) => tenant,
                None => {
                    let permits = options.permits.share(share);
                    let options = TenantOptions { permits, ..options.clone() };
                    Arc::new(Tenant::open(name, plan, &options, wrong)?)
                }
            };
            for token in &plan.tokens {
                open.digests.push(*token);
                open.owners.push(Arc::clone(&tenant));
            }
            open.by_name.insert(name.clone(), (plan.clone(), tenant));
        }
        if !open.by_name.is_empty() {
            open.anyone = None;
        }
        Ok(open)
    }

    /// Whether a token is needed.
    pub fn needs_token(&self) -> bool {
        self.anyone.is_none()
    }

    /// Whose token this is, in a time that does not tell.
    pub fn tenant(&self, token: Option<&str>) -> Option<Arc<Tenant>> {
        if let Some(anyone) = &self.anyone {
            return Some(Arc::clone(anyone));
        }
        let at = TokenDigest::find(token.unwrap_or_default(), self.digests.iter())?;
        self.owners.get(at).cloned()
    }

    /// Whether metrics, which name every tenant, may be shown to the bearer of this token.
    pub fn may_see_metrics(&self, token: Option<&str>) -> bool {
        match &self.metrics_token {
            Some(digest) => {
                TokenDigest::find(token.unwrap_or_default(), std::iter::once(digest)).is_some()
            }
            None => !self.needs_token(),
        }
    }

    /// All tenants.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        let named = self.by_name.values().map(|(_, tenant)| Arc::clone(tenant));
        named.chain(self.anyone.clone()).collect()
    }
}

/// Tokens may change while everything else stays.
fn same_sandbox(a: &TenantPlan, b: &TenantPlan) -> bool {
    let tokens = Vec::new();
    TenantPlan { tokens: tokens.clone(), ..a.clone() } == TenantPlan { tokens, ..b.clone() }
}

/// The table in force. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Tenants(Arc<RwLock<Arc<Open>>>);

impl Tenants {
    /// Serves these.
    pub fn new(open: Open) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(open))))
    }

    /// The table in force now.
    pub fn now(&self) -> Arc<Open> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves others from now on; calls under way go on with what they have.
    pub fn replace(&self, open: Open) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(open);
    }
}
