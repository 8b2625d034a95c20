use crate::problem::{Reason, Report};
use crate::tls::Certificate;

/// A certificate that ends so soon is reported, as by ingress-nginx: 10 days, in seconds.
const SOON: i64 = 10 * 24 * 60 * 60;

/// Reports a certificate that is not valid, or not for long; it is shown all the same, because a client
/// may well accept it.
pub(super) fn judge(certificate: &Certificate, now: i64, report: &mut Report) {
    let Some(left) = certificate.not_after.checked_sub(now) else {
        return;
    };
    let message = if left < 0 {
        format!("expired {} ago; it is served all the same", span(-left))
    } else if certificate.not_before > now {
        "is not valid yet; it is served all the same (is this node's clock right?)".to_owned()
    } else if left < SOON {
        format!("expires in {}", span(left))
    } else {
        return;
    };
    report.add(Reason::CertificateExpiring, "tls.crt", message);
}

/// Whole days or hours: a message must not change every second.
fn span(seconds: i64) -> String {
    const DAY: i64 = 24 * 60 * 60;
    match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}
