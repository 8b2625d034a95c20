//! A [`Ruleset`] as text in nft's language: for `fairway render`, for people, and for comparison
//! with what `nft list table` prints.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};
use std::net::IpAddr;

use fairway_model::Protocol;
use fairway_plan::{
    Bytes, Chain, Family, Hook, HookPoint, Rule, Ruleset, Selector, SetName, Statement, TABLE,
};
use ipnet::IpNet;

use crate::wire::constants::chain_type;

#[cfg(test)]
mod tests;

/// nft takes comments of up to 128 bytes with the closing zero.
const COMMENT_LIMIT: usize = 127;

/// nft prints keys of up to so many fields by example, longer ones by their types.
pub(crate) const LONGEST_TYPEOF: usize = 4;

/// Renders a ruleset. `nft -f` loads the text; apart from spacing and the order of elements it is
/// what `nft list table` prints of the same ruleset.
pub fn render(ruleset: &Ruleset) -> String {
    let mut out = String::new();
    write_table(&mut out, ruleset).expect("writing to a String cannot fail");
    out
}

fn write_table(out: &mut String, ruleset: &Ruleset) -> fmt::Result {
    let family = ruleset.family;
    writeln!(out, "table {family} {TABLE} {{")?;
    for (index, (name, elements)) in ruleset.sets.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let kind = if name.shape().value.is_empty() {
            "set"
        } else {
            "map"
        };
        writeln!(out, "\t{kind} {name} {{")?;
        match name.shape().key.len() {
            ..=LONGEST_TYPEOF => writeln!(out, "\t\ttypeof {}", TypeOf(*name, family))?,
            _ => writeln!(out, "\t\ttype {}", Types(family, &name.shape().key))?,
        }
        if name.shape().has_networks() {
            writeln!(out, "\t\tflags interval")?;
        }
        if let Some((capacity, timeout)) = name.capacity().zip(name.timeout()) {
            writeln!(out, "\t\tsize {capacity}")?;
            writeln!(out, "\t\tflags dynamic,timeout")?;
            writeln!(out, "\t\ttimeout {}", Time(timeout))?;
        }
        if name.counts() {
            writeln!(out, "\t\tcounter")?;
        }
        let mut separator = "\t\telements = { ";
        for (key, value) in elements {
            write!(out, "{separator}{}", ElementText(family, *name, key, value))?;
            separator = ",\n\t\t\t     ";
        }
        if !elements.is_empty() {
            writeln!(out, " }}")?;
        }
        writeln!(out, "\t}}")?;
    }
    for chain in &ruleset.chains {
        writeln!(out)?;
        write_chain(out, family, chain)?;
    }
    writeln!(out, "}}")
}

fn write_chain(out: &mut String, family: Family, chain: &Chain) -> fmt::Result {
    writeln!(out, "\tchain {} {{", chain.name)?;
    if let Some(hook) = chain.hook {
        writeln!(out, "\t\t{}", hook_text(hook))?;
    }
    for rule in &chain.rules {
        writeln!(out, "\t\t{}", RuleText(family, rule))?;
    }
    writeln!(out, "\t}}")
}

pub(crate) fn hook_text(hook: Hook) -> String {
    let kind = chain_type(hook.kind);
    let point = point(hook.point);
    let priority = Priority(hook);
    format!("type {kind} hook {point} priority {priority}; policy accept;")
}

/// The comment of a rule as nft can hold it: no quotation marks, no control characters, not too long.
pub(crate) fn comment(rule: &Rule) -> Cow<'static, str> {
    let text = rule.comment;
    let fits = |text: &str| {
        text.len() <= COMMENT_LIMIT && !text.contains(|c: char| c == '"' || c.is_control())
    };
    if fits(text) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(COMMENT_LIMIT);
    for character in text.chars() {
        let character = match character {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        };
        if clean.len() + character.len_utf8() > COMMENT_LIMIT {
            break;
        }
        clean.push(character);
    }
    Cow::Owned(clean)
}

/// A rule as nft prints it, without handle.
struct RuleText<'a>(Family, &'a Rule);

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
struct Context {
    family: Family,
    protocol: Option<Protocol>,
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
struct Network(IpNet);

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
struct Key<'a>(Context, &'a [Selector]);

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

/// What follows `typeof`.
struct TypeOf(SetName, Family);

impl Display for TypeOf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let set = self.0.shape();
        let context = Context {
            family: self.1,
            protocol: None,
        };
        Key(context, &set.key).fmt(f)?;
        if !set.value.is_empty() {
            write!(f, " : {}", Key(context, &set.value))?;
        }
        Ok(())
    }
}

/// What follows `type`.
struct Types<'a>(Family, &'a [Selector]);

impl Display for Types<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.1.iter().map(|selector| match (selector, self.0) {
            (Selector::Protocol, _) => "inet_proto",
            (Selector::DestinationPort | Selector::AskedPort, _) => "inet_service",
            (Selector::RandomSlot(_), _) => "integer",
            (_, Family::Ip4) => "ipv4_addr",
            (_, Family::Ip6) => "ipv6_addr",
        });
        f.write_str(&names.collect::<Vec<_>>().join(" . "))
    }
}

struct ElementText<'a>(Family, SetName, &'a Bytes, &'a Bytes);

impl Display for ElementText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(family, name, key, value) = self;
        let set = name.shape();
        write_fields(f, *family, &set.key, &key.0)?;
        if name.counts() {
            f.write_str(" counter packets 0 bytes 0")?;
        }
        if !set.value.is_empty() {
            f.write_str(" : ")?;
            write_fields(f, *family, &set.value, &value.0)?;
        }
        Ok(())
    }
}

fn write_fields(
    f: &mut Formatter<'_>,
    family: Family,
    fields: &[Selector],
    mut bytes: &[u8],
) -> fmt::Result {
    for (index, selector) in fields.iter().enumerate() {
        if index > 0 {
            f.write_str(" . ")?;
        }
        let Some((field, rest)) = bytes.split_at_checked(selector.element_length(family)) else {
            return f.write_str("?");
        };
        bytes = rest;
        write_field(f, *selector, field)?;
    }
    Ok(())
}

fn write_field(f: &mut Formatter<'_>, selector: Selector, field: &[u8]) -> fmt::Result {
    match (selector, field) {
        (Selector::Protocol, [6, ..]) => f.write_str("tcp"),
        (Selector::Protocol, [17, ..]) => f.write_str("udp"),
        (Selector::Protocol, [132, ..]) => f.write_str("sctp"),
        (Selector::Protocol, [number, ..]) => number.fmt(f),
        (Selector::DestinationPort, [high, low, ..]) => u16::from_be_bytes([*high, *low]).fmt(f),
        (Selector::RandomSlot(_), &[a, b, c, d]) => u32::from_ne_bytes([a, b, c, d]).fmt(f),
        (Selector::SourceNetwork, [address_bytes @ .., prefix, _, _, _]) => {
            let network = address(address_bytes).map(|address| IpNet::new(address, *prefix));
            match network {
                Some(Ok(network)) => Network(network).fmt(f),
                _ => f.write_char('?'),
            }
        }
        (_, field) => match address(field) {
            Some(address) => address.fmt(f),
            None => f.write_char('?'),
        },
    }
}

/// Seconds as nft prints them: `3h`, `1m30s`.
struct Time(u32);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            let count = rest / seconds;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
            rest %= seconds;
        }
        Ok(())
    }
}

fn address(field: &[u8]) -> Option<IpAddr> {
    let ip4 = <[u8; 4]>::try_from(field).map(IpAddr::from);
    let ip6 = || <[u8; 16]>::try_from(field).map(IpAddr::from);
    ip4.or_else(|_| ip6()).ok()
}

fn point(point: HookPoint) -> &'static str {
    match point {
        HookPoint::Prerouting => "prerouting",
        HookPoint::Input => "input",
        HookPoint::Forward => "forward",
        HookPoint::Output => "output",
        HookPoint::Postrouting => "postrouting",
    }
}

/// A priority by the name that nft 1.0.6 prints: the nearest standard one within ten, with the rest.
struct Priority(Hook);

impl Display for Priority {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Hook {
            point, priority, ..
        } = self.0;
        let standard = [
            ("raw", -300),
            ("mangle", -150),
            ("dstnat", -100),
            ("filter", 0),
            ("security", 50),
            ("srcnat", 100),
        ];
        let near = standard
            .into_iter()
            .find(|(_, value)| priority.saturating_sub(*value).unsigned_abs() <= 10);
        let fits = |name| match name {
            "dstnat" => point == HookPoint::Prerouting,
            "srcnat" => point == HookPoint::Postrouting,
            _ => true,
        };
        match near {
            Some((name, value)) if fits(name) => match priority - value {
                0 => f.write_str(name),
                rest if rest > 0 => write!(f, "{name} + {rest}"),
                rest => write!(f, "{name} - {}", rest.unsigned_abs()),
            },
            _ => priority.fmt(f),
        }
    }
}
