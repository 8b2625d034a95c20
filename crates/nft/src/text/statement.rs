//! Rules and their statements, as nft prints them.

use std::fmt::{self, Display, Formatter};

use fairway_model::Protocol;
use fairway_plan::{Family, Rule, Selector, Statement};
use ipnet::IpNet;

use super::comment;

/// A rule as nft prints it, without handle.
pub(super) struct RuleText<'a>(pub(super) Family, pub(super) &'a Rule);

impl Display for RuleText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(family, rule) = self;
        let mut context = Context {
            family: *family,
            protocol: None,
        };
        for (index, statement) in rule.statements.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            if let Statement::ProtocolIs(protocol) = statement {
                context.protocol = Some(*protocol);
            }
            write_statement(f, context, statement)?;
        }
        match comment(rule) {
            empty if empty.is_empty() => Ok(()),
            text => write!(f, " comment \"{text}\""),
        }
    }
}

/// What nft knows of the packets that reach a statement.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) family: Family,
    pub(super) protocol: Option<Protocol>,
}

impl Context {
    /// nft's word for the header that ports are in.
    fn transport(self) -> &'static str {
        match self.protocol {
            Some(Protocol::Tcp) => "tcp",
            Some(Protocol::Udp) => "udp",
            Some(Protocol::Sctp) => "sctp",
            None => "th",
        }
    }
}

fn write_statement(f: &mut Formatter<'_>, context: Context, statement: &Statement) -> fmt::Result {
    let family = context.family;
    match statement {
        Statement::SourceIn { network, negated } => {
            write!(f, "{family} saddr {}{}", not(*negated), Network(*network))
        }
        Statement::DestinationIn { network, negated } => {
            write!(f, "{family} daddr {}{}", not(*negated), Network(*network))
        }
        Statement::DestinationIsLocal => f.write_str("fib daddr type local"),
        Statement::SourceIsLocal => f.write_str("fib saddr type local"),
        Statement::InterfaceIs {
            name,
            prefix,
            negated,
        } => {
            let star = if *prefix { "*" } else { "" };
            write!(f, "iifname {}\"{name}{star}\"", not(*negated))
        }
        Statement::InSet { key, set } => write!(f, "{} @{set}", Key(context, key)),
        Statement::ConnectionIsNew => f.write_str("ct state new"),
        Statement::ConnectionIsInvalid => f.write_str("ct state invalid"),
        Statement::IsTcpReset => f.write_str("tcp flags rst"),
        Statement::IsMidConnection => f.write_str("tcp flags ! syn"),
        Statement::ConnectionIsTranslated => f.write_str("ct status dnat"),
        Statement::MarkHas(bits) => write!(f, "meta mark & {bits:#010x} == {bits:#010x}"),
        Statement::SetMark(bits) => write!(f, "meta mark set meta mark | {bits:#010x}"),
        Statement::ClearMark(bits) => write!(f, "meta mark set meta mark & {:#010x}", !bits),
        Statement::Translate { key, map } => {
            write!(f, "dnat {family} to {} map @{map}", Key(context, key))
        }
        Statement::ProtocolIs(_) => write!(f, "{} dport != 0", context.transport()),
        Statement::Remember { key, value, map } => {
            let (key, value) = (Key(context, key), Key(context, value));
            write!(f, "update @{map} {{ {key} : {value} }}")
        }
        Statement::Forget { key, value, map } => {
            let (key, value) = (Key(context, key), Key(context, value));
            write!(f, "delete @{map} {{ {key} : {value} }}")
        }
        Statement::Masquerade => f.write_str("masquerade fully-random"),
        Statement::Reset => f.write_str("reject with tcp reset"),
        Statement::Reject => f.write_str("reject"),
        Statement::Drop => f.write_str("drop"),
        Statement::Return => f.write_str("return"),
        Statement::Jump(chain) => write!(f, "jump {chain}"),
        Statement::Goto(chain) => write!(f, "goto {chain}"),
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "!= " } else { "" }
}

/// A network; a single address without its prefix length, as nft has it.
pub(super) struct Network(pub(super) IpNet);

impl Display for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let network = self.0.trunc();
        if network.prefix_len() == network.max_prefix_len() {
            network.addr().fmt(f)
        } else {
            network.fmt(f)
        }
    }
}

/// Fields of a key: `ip daddr . meta l4proto`.
pub(super) struct Key<'a>(pub(super) Context, pub(super) &'a [Selector]);

impl Display for Key<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(context, selectors) = self;
        let family = context.family;
        for (index, selector) in selectors.iter().enumerate() {
            if index > 0 {
                f.write_str(" . ")?;
            }
            match selector {
                Selector::SourceAddress | Selector::SourceNetwork => write!(f, "{family} saddr")?,
                Selector::DestinationAddress => write!(f, "{family} daddr")?,
                Selector::Protocol => f.write_str("meta l4proto")?,
                Selector::DestinationPort => write!(f, "{} dport", context.transport())?,
                Selector::Client => write!(f, "ct original {family} saddr")?,
                Selector::AskedAddress => write!(f, "ct original {family} daddr")?,
                Selector::AskedPort => f.write_str("ct original proto-dst")?,
                Selector::RandomSlot(modulus) => write!(f, "numgen random mod {modulus}")?,
                Selector::ClientSlot(modulus) => {
                    let seed = Selector::CLIENT_SEED;
                    write!(f, "jhash {family} saddr mod {modulus} seed {seed:#x}")?;
                }
                Selector::ConnectionSlot(modulus) => {
                    let seed = Selector::CLIENT_SEED;
                    let key = format_args!("{family} saddr . {} sport", context.transport());
                    write!(f, "jhash {key} mod {modulus} seed {seed:#x}")?;
                }
            }
        }
        Ok(())
    }
}
