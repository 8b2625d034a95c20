use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::body::{BoxError, ResponseBody, broken, cut, full, slowed, streamed};
use super::event;
use super::failure::Failure;
use super::faults::Effect;
use super::list::list;
use super::patch::{Format, patch};
use super::resource::discovery;
use super::shared::{self, Shared};
use super::store::Writer;
use super::target::{Query, Target, Verb};
use super::watching::Watching;

/// Answers a request, or fails where the connection is to break.
pub(super) async fn answer<B>(
    shared: Arc<Shared>,
    request: Request<B>,
) -> Result<Response<ResponseBody>, BoxError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if !shared.signals.borrow().serving {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    }
    let (parts, body) = request.into_parts();
    let segments: Vec<&str> = parts
        .uri
        .path()
        .split('/')
        .filter(|s| !s.is_empty())
        .collect();
    if let ["healthz" | "livez" | "readyz"] = segments[..] {
        return Ok(response(200, "text/plain", full("ok")));
    }
    if let [
        "apis",
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
    ] = segments[..]
    {
        let body = body.collect().await.map_err(Into::into)?.to_bytes();
        return Ok(match parse(&body) {
            Ok(review) => success(201, &reviewed(&shared, review)),
            Err(refusal) => failure(&refusal),
        });
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let Some(target) = Target::parse(&segments) else {
        return Ok(match discovery(&segments) {
            Some(document) => success(200, &document),
            None => failure(&Failure::no_such_api()),
        });
    };
    let Some(verb) = target.verb(&parts.method, &query) else {
        return Ok(failure(&Failure {
            code: 405,
            reason: "MethodNotAllowed",
            ..Failure::bad_request(
                "the server does not allow this method on the requested resource",
            )
        }));
    };
    shared.note(shared::Request {
        verb,
        resource: target.resource.plural,
        path: parts.uri.to_string(),
    });

    // As RBAC with resourceNames does: whoever is to read single Secrets gets no list of them.
    if target.resource.plural == "secrets"
        && matches!(verb, Verb::List | Verb::Watch)
        && !query.text("fieldSelector").contains("metadata.name=")
    {
        return Ok(failure(&Failure {
            code: 403,
            reason: "Forbidden",
            ..Failure::bad_request("secrets is forbidden: only by name, with a field selector")
        }));
    }

    let continued = !query.text("continue").is_empty();
    let effect = shared.faults().strike(verb, &target, continued);
    match &effect {
        Some(Effect::Answer(refusal)) => return Ok(failure(refusal)),
        Some(Effect::Disconnect) => return Err(broken()),
        Some(Effect::Delay(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }

    let response = if verb == Verb::Watch {
        watch(&shared, target, &query, effect.as_ref())
    } else {
        let body = body.collect().await.map_err(Into::into)?.to_bytes();
        match document(&shared, verb, &target, &query, &parts.headers, &body) {
            Ok((code, document)) if matches!(effect, Some(Effect::Cut)) => {
                let body = cut(&document.to_string().into());
                response(code, JSON, body)
            }
            Ok((code, document)) => success(code, &document),
            Err(refusal) => failure(&refusal),
        }
    };
    Ok(match effect {
        Some(Effect::Slow { chunk, pause }) => response.map(|body| slowed(body, chunk, pause)),
        _ => response,
    })
}

const JSON: &str = "application/json";

/// Whether the client may do what it asks about.
fn reviewed(shared: &Shared, mut review: Value) -> Value {
    let asked = &review["spec"]["resourceAttributes"];
    let text = |field: &str| asked[field].as_str().unwrap_or_default();
    let allowed = shared.faults().allows(text("verb"), text("resource"));
    review["status"] = json!({ "allowed": allowed });
    review
}

fn watch(
    shared: &Arc<Shared>,
    target: Target,
    query: &Query,
    effect: Option<&Effect>,
) -> Response<ResponseBody> {
    let mut watching = match Watching::begin(shared, target, query) {
        Ok(watching) => watching,
        Err(refusal) => return failure(&refusal),
    };
    match effect {
        Some(Effect::Cut) => return response(200, JSON, cut(&Bytes::new())),
        Some(Effect::ExpiredEvent) => watching.expire(),
        _ => {}
    }
    response(200, JSON, streamed(watching.into_stream()))
}

/// Everything that is answered with one document.
fn document(
    shared: &Shared,
    verb: Verb,
    target: &Target,
    query: &Query,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(u16, Value), Failure> {
    if !query.text("dryRun").is_empty() {
        return Err(Failure::bad_request("dry run is not supported"));
    }
    let resource = target.resource;
    let manager = match query.text("fieldManager") {
        "" => header_text(headers, &header::USER_AGENT)
            .split('/')
            .next()
            .unwrap_or_default(),
        manager => manager,
    };
    let mut writer = Writer {
        manager,
        operation: "Update",
        status: target.status,
    };
    let key = target.key(target.name.as_deref().unwrap_or_default());
    match verb {
        Verb::Get => match shared.store().get(resource, &key) {
            Some(object) => Ok((200, object.as_ref().clone())),
            None => Err(Failure::not_found(resource.plural, &key.name)),
        },
        Verb::List | Verb::Watch => Ok((200, list(&mut shared.store(), target, query)?)),
        Verb::Create => {
            let mut object = parse(body)?;
            let name = match object["metadata"]["name"].as_str() {
                Some(name) if !name.is_empty() => name.to_owned(),
                _ => generate_name(&object, shared.store().revision())?,
            };
            let key = target.key(&name);
            check(target, &key.name, &object)?;
            if resource.is_event() {
                event::check(&object)?;
            }
            if resource.status
                && let Some(map) = object.as_object_mut()
            {
                map.remove("status");
            }
            let created = shared.change(|store| store.create(resource, key, object, writer))?;
            Ok((201, created.as_ref().clone()))
        }
        Verb::Update => {
            let object = parse(body)?;
            check(target, &key.name, &object)?;
            let updated = shared.change(|store| store.replace(resource, key, object, writer))?;
            Ok((200, updated.as_ref().clone()))
        }
        Verb::Patch => {
            let content_type = header_text(headers, &header::CONTENT_TYPE);
            let format = Format::parse(content_type, query.flag("force"))?;
            if matches!(format, Format::Apply { .. }) {
                writer.operation = "Apply";
            }
            let changes = parse(body)?;
            let (patched, new) =
                shared.change(|store| patch(store, resource, key, format, &changes, writer))?;
            Ok((if new { 201 } else { 200 }, patched.as_ref().clone()))
        }
        Verb::Delete => {
            let wanted = if body.is_empty() {
                Value::Null
            } else {
                parse(body)?
            };
            let deleted = shared.change(|store| {
                if let Some(object) = store.get(resource, &key) {
                    check_preconditions(&wanted["preconditions"], &object["metadata"])?;
                }
                store.delete(resource, &key)
            })?;
            let details = json!({
                "name": key.name, "kind": resource.plural, "group": resource.group,
                "uid": deleted["metadata"]["uid"],
            });
            Ok((
                200,
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": details,
                }),
            ))
        }
    }
}

/// JSON, or YAML as server-side apply may send it.
fn parse(body: &[u8]) -> Result<Value, Failure> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    serde_saphyr::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))
}

fn generate_name(object: &Value, revision: u64) -> Result<String, Failure> {
    object["metadata"]["generateName"]
        .as_str()
        .map(|prefix| format!("{prefix}{revision:05x}"))
        .ok_or_else(|| {
            Failure::invalid("metadata.name: Required value: name or generateName is required")
        })
}

/// The body must be about what the path is about.
fn check(target: &Target, name: &str, object: &Value) -> Result<(), Failure> {
    let resource = target.resource;
    let differs = |value: &Value, wanted: &str| value.as_str().is_some_and(|v| v != wanted);
    let namespace = target.namespace.as_deref().unwrap_or_default();
    if differs(&object["kind"], resource.kind)
        || differs(&object["apiVersion"], &resource.api_version())
    {
        return Err(Failure::bad_request(
            "the object in the body is of another kind than the path",
        ));
    }
    if differs(&object["metadata"]["name"], name) {
        return Err(Failure::bad_request(
            "the name of the object does not match the name of the path",
        ));
    }
    if resource.namespaced && namespace.is_empty() {
        return Err(Failure::bad_request(
            "an empty namespace may not be set during creation",
        ));
    }
    if resource.namespaced && differs(&object["metadata"]["namespace"], namespace) {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

fn check_preconditions(wanted: &Value, metadata: &Value) -> Result<(), Failure> {
    for field in ["uid", "resourceVersion"] {
        if wanted[field]
            .as_str()
            .is_some_and(|value| metadata[field] != value)
        {
            return Err(Failure::conflict(format!(
                "the {field} in the precondition does not match"
            )));
        }
    }
    Ok(())
}

fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn success(code: u16, document: &Value) -> Response<ResponseBody> {
    response(code, JSON, full(document.to_string()))
}

fn failure(failure: &Failure) -> Response<ResponseBody> {
    let mut response = response(failure.code, JSON, full(failure.to_value().to_string()));
    if let Some(seconds) = failure.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn response(code: u16, content_type: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    response
}
