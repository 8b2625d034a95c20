//! The chains of everybody, for who looks for trouble.

use crate::error::Error;
use crate::netlink::Netlink;
use crate::netlink::read::{ATTEMPTS, dump_all, text};
use crate::wire::constants::{
    NFT_MSG_GETCHAIN, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE,
    NFTA_CHAIN_TYPE, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY,
};
use crate::wire::reader;

/// A chain of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignChain {
    /// nft's word for the family of its table.
    pub family: &'static str,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// nft's word for where it is attached; absent for chains that are jumped to.
    pub hook: Option<&'static str>,
    /// `filter`, `nat` or `route`; empty for chains that are jumped to.
    pub kind: String,
    /// Lower ones run first.
    pub priority: i32,
    /// What its rules do not accept is dropped.
    pub drops: bool,
}

/// Families by number (`NFPROTO_*`).
const FAMILIES: [(u8, &str); 6] = [
    (1, "inet"),
    (2, "ip"),
    (3, "arp"),
    (5, "netdev"),
    (7, "bridge"),
    (10, "ip6"),
];

/// Hooks of the families of IP, by number (`NF_INET_*`).
const HOOKS: [&str; 6] = [
    "prerouting",
    "input",
    "forward",
    "output",
    "postrouting",
    "ingress",
];

/// `NF_DROP`.
const DROP: u32 = 0;

impl Netlink {
    /// Every chain of every table in this network namespace.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell, or others change their tables all the time.
    pub fn all_chains(&mut self) -> Result<Vec<ForeignChain>, Error> {
        for _ in 0..ATTEMPTS {
            let mut chains = Vec::new();
            let whole = dump_all(&mut self.socket, NFT_MSG_GETCHAIN, |message| {
                let attributes = message.attributes();
                let hook = reader::find(attributes, NFTA_CHAIN_HOOK);
                let number = |kind| {
                    let found = hook.and_then(|hook| reader::find(hook, kind));
                    found.and_then(reader::number)
                };
                let kind = reader::find(attributes, NFTA_CHAIN_TYPE).and_then(reader::text);
                let policy = reader::find(attributes, NFTA_CHAIN_POLICY).and_then(reader::number);
                let family = FAMILIES
                    .iter()
                    .find(|(number, _)| Some(*number) == message.family());
                chains.push(ForeignChain {
                    family: family.map_or("?", |(_, name)| name),
                    table: text(attributes, NFTA_CHAIN_TABLE)?.to_owned(),
                    name: text(attributes, NFTA_CHAIN_NAME)?.to_owned(),
                    hook: number(NFTA_HOOK_HOOKNUM)
                        .map(|hook| HOOKS.get(hook as usize).copied().unwrap_or("?")),
                    kind: kind.unwrap_or_default().to_owned(),
                    priority: number(NFTA_HOOK_PRIORITY).map_or(0, u32::cast_signed),
                    drops: policy == Some(DROP),
                });
                Ok(())
            })?;
            if whole {
                return Ok(chains);
            }
        }
        Err(Error::Unsteady(ATTEMPTS))
    }
}
