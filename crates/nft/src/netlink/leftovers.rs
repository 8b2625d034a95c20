//! kube-proxy's leftovers in nf_tables: those of `iptables-nft`, which are chains and rules of tables called as iptables
//! calls them, and the tables of mode nftables.

use std::ops::ControlFlow;

use fairway_plan::Family;

use super::Netlink;
use super::read::{dump, text};
use crate::error::{Errno, Error};
use crate::leftovers::{ChainName, Jump, Leftovers, TABLES};
use crate::socket::{Socket, refusal};
use crate::wire::constants::{
    NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE,
    NFT_MSG_GETTABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_TABLE, NFTA_DATA_VERDICT, NFTA_EXPR_DATA,
    NFTA_EXPR_NAME, NFTA_IMMEDIATE_DATA, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE,
    NFTA_RULE_TABLE, NFTA_TABLE_NAME, NFTA_VERDICT_CHAIN, NLM_F_ACK, NLMSG_ERROR, family_number,
};
use crate::wire::reader;
use crate::wire::writer::Writer;

/// The table of mode nftables.
const TABLE: &str = "kube-proxy";

/// Attempts to delete what was found, when somebody changes it meanwhile.
const ATTEMPTS: usize = 5;

/// What kube-proxy left in the tables of one family.
#[derive(Clone, Debug)]
pub struct KubeProxy {
    /// Whether the table of mode nftables is there.
    pub has_table: bool,
    /// What `iptables-nft` shows, with the kernel's handles of rules.
    pub chains: Leftovers<u64>,
}

impl KubeProxy {
    /// Whether there is nothing to delete.
    pub fn is_empty(&self) -> bool {
        !self.has_table && self.chains.is_empty()
    }
}

impl Netlink {
    /// Finds what kube-proxy has, or left, in the tables of a family.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell, or others change its tables all the time.
    pub fn kube_proxy(&mut self, family: Family) -> Result<KubeProxy, Error> {
        for _ in 0..super::read::ATTEMPTS {
            if let Some(found) = find(&mut self.socket, family)? {
                return Ok(found);
            }
        }
        Err(Error::Unsteady(super::read::ATTEMPTS))
    }

    /// Deletes all of it in one batch, and tells what it was.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; nothing has changed then.
    pub fn remove_kube_proxy(&mut self, family: Family) -> Result<KubeProxy, Error> {
        let mut attempt = 0;
        loop {
            let found = self.kube_proxy(family)?;
            if found.is_empty() {
                return Ok(found);
            }
            attempt += 1;
            match delete(&mut self.socket, family, &found) {
                Ok(()) => return Ok(found),
                // It was changed between the look and the batch.
                Err(Error::Refused { errno, .. })
                    if attempt < ATTEMPTS && matches!(errno, Errno::ENOENT | Errno::EBUSY) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn find(socket: &mut Socket, family: Family) -> Result<Option<KubeProxy>, Error> {
    let mut has_table = false;
    let whole = dump(
        socket,
        NFT_MSG_GETTABLE,
        family,
        |_| {},
        |message| {
            has_table |= text(message.attributes(), NFTA_TABLE_NAME)? == TABLE;
            Ok(())
        },
    )?;
    let mut chains = Vec::new();
    let listed = dump(
        socket,
        NFT_MSG_GETCHAIN,
        family,
        |_| {},
        |message| {
            let attributes = message.attributes();
            let table = text(attributes, NFTA_CHAIN_TABLE)?;
            if TABLES.contains(&table) {
                chains.push(ChainName::new(table, text(attributes, NFTA_CHAIN_NAME)?));
            }
            Ok(())
        },
    )?;
    if !whole || !listed {
        return Ok(None);
    }
    let mut jumps = Vec::new();
    for table in TABLES {
        // Most nodes have none of these, and listing what is not there is an error.
        if !chains.iter().any(|chain| chain.table == table) {
            continue;
        }
        let request = |writer: &mut Writer| writer.string(NFTA_RULE_TABLE, table);
        let whole = dump(socket, NFT_MSG_GETRULE, family, request, |message| {
            jumps.extend(jump(message.attributes())?);
            Ok(())
        })?;
        if !whole {
            return Ok(None);
        }
    }
    Ok(Some(KubeProxy {
        has_table,
        chains: Leftovers::among(chains, jumps),
    }))
}

/// The rule described by these attributes, if it leads to another chain.
fn jump(attributes: &[u8]) -> Result<Option<Jump<u64>>, Error> {
    let expressions = reader::find(attributes, NFTA_RULE_EXPRESSIONS).unwrap_or_default();
    let Some(to) = reader::attributes(expressions).find_map(|it| target(it.value)) else {
        return Ok(None);
    };
    let handle = reader::find(attributes, NFTA_RULE_HANDLE).and_then(|it| it.try_into().ok());
    Ok(Some(Jump {
        from: ChainName::new(
            text(attributes, NFTA_RULE_TABLE)?,
            text(attributes, NFTA_RULE_CHAIN)?,
        ),
        to: to.to_owned(),
        rule: handle
            .map(u64::from_be_bytes)
            .ok_or(Error::Protocol("a rule without a handle"))?,
    }))
}

/// Where an expression leads. iptables-nft writes `-j CHAIN` and `-g CHAIN` as verdicts, too.
fn target(expression: &[u8]) -> Option<&str> {
    let name = reader::find(expression, NFTA_EXPR_NAME).and_then(reader::text)?;
    if name != "immediate" {
        return None;
    }
    let data = reader::find(expression, NFTA_EXPR_DATA)?;
    let data = reader::find(data, NFTA_IMMEDIATE_DATA)?;
    let verdict = reader::find(data, NFTA_DATA_VERDICT)?;
    reader::find(verdict, NFTA_VERDICT_CHAIN).and_then(reader::text)
}

fn delete(socket: &mut Socket, family: Family, found: &KubeProxy) -> Result<(), Error> {
    let Leftovers { jumps, chains, .. } = &found.chains;
    let messages = 2 + usize::from(found.has_table) + jumps.len() + 2 * chains.len();
    let messages = u32::try_from(messages).expect("each takes memory");
    let first = socket.reserve(messages);
    let number = family_number(family);
    let mut writer = Writer::default();
    let mut sequence = first;
    let mut last = 0;
    writer.batch_begin(sequence);
    let mut message = |writer: &mut Writer, kind, body: &dyn Fn(&mut Writer)| {
        sequence += 1;
        last = writer.len();
        writer.message(kind, 0, sequence, number, |writer| body(writer));
    };
    for jump in jumps {
        message(&mut writer, NFT_MSG_DELRULE, &|writer| {
            writer.string(NFTA_RULE_TABLE, &jump.from.table);
            writer.string(NFTA_RULE_CHAIN, &jump.from.name);
            writer.attribute(NFTA_RULE_HANDLE, &jump.rule.to_be_bytes());
        });
    }
    for chain in chains {
        message(&mut writer, NFT_MSG_DELRULE, &|writer| {
            writer.string(NFTA_RULE_TABLE, &chain.table);
            writer.string(NFTA_RULE_CHAIN, &chain.name);
        });
    }
    for chain in chains {
        message(&mut writer, NFT_MSG_DELCHAIN, &|writer| {
            writer.string(NFTA_CHAIN_TABLE, &chain.table);
            writer.string(NFTA_CHAIN_NAME, &chain.name);
        });
    }
    if found.has_table {
        message(&mut writer, NFT_MSG_DELTABLE, &|writer| {
            writer.string(NFTA_TABLE_NAME, TABLE);
        });
    }
    let end = sequence + 1;
    writer.add_flags(last, NLM_F_ACK);
    writer.batch_end(end);
    if writer.len() > socket.send_limit() {
        return Err(Error::TooLarge {
            size: writer.len(),
            limit: socket.send_limit(),
        });
    }
    execute(socket, &writer, first, end)
}

/// Sends a batch of which the last message asks for an answer.
fn execute(socket: &mut Socket, batch: &Writer, first: u32, end: u32) -> Result<(), Error> {
    socket.send(batch.bytes())?;
    let mut refused = None;
    let answered = socket.receive(|message| {
        let ours = (first..=end).contains(&message.sequence);
        if !ours || message.kind != NLMSG_ERROR {
            return Ok(ControlFlow::Continue(()));
        }
        let answer = message.answer();
        let answer = answer.ok_or(Error::Protocol("an error without a number"))?;
        match Errno(answer.errno) {
            Errno(0) => return Ok(ControlFlow::Break(())),
            errno if message.sequence == first => return Err(refusal(errno)),
            errno => {
                let details = answer.text.map(|text| format!(": {text}"));
                refused.get_or_insert((errno, details.unwrap_or_default()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    match refused {
        Some((errno, details)) => Err(Error::Refused {
            what: "remove what kube-proxy left".to_owned(),
            errno,
            details,
            hint: "; does kube-proxy still run?".to_owned(),
        }),
        None if answered => Ok(()),
        None => Err(Error::Protocol("none came")),
    }
}
