use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::deadline::Deadlines;

const READ: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Tick {
    Tick::ZERO.after(Duration::from_secs(seconds))
}

/// Of a request with a body that is on its way to an endpoint since zero.
fn watch() -> Watch {
    let deadlines = Rc::new(Deadlines::default());
    let watch = Watch::new(Rc::new(Clock::new()), deadlines.open(), Rc::default());
    watch.accepted(true);
    watch.sent(READ, READ);
    watch
}

#[test]
fn an_endpoint_has_its_time_to_answer_from_the_end_of_the_body() {
    for over in [Upload::Complete(at(100)), Upload::Abandoned(at(100))] {
        let watch = watch();
        watch.upload(over);
        assert_eq!(watch.due(), (at(160), Stall::UpstreamRead), "{over:?}");
    }
}

#[test]
fn while_there_is_more_of_the_body_it_need_not_answer() {
    let watch = watch();
    watch.upload(Upload::Upstream(at(100)));
    assert_eq!(watch.due(), (at(160), Stall::UpstreamWrite));
    watch.be_patient();
    watch.upload(Upload::Client(at(100)));
    assert_eq!(watch.due(), (Tick::NEVER, Stall::RequestBody));
}
