//! What the operator relies on of an API server, as requests and what is relevant of their answers. The simulated API server
//! and the real one are both held to it, so that the simulation plays no other Kubernetes than the one there is.

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

const GROUP: &str = "/apis/telephony.burki.dev/v1alpha1";
const FINALIZER: &str = "telephony.burki.dev/release";
const CLAIM: &str = "telephony.burki.dev/claim";

/// Holds the API server behind `client` to it, in an empty namespace that exists and has the kind PhoneNumber. `forget` makes
/// it forget what was before, where it does not do so by itself.
pub async fn conforms(client: Client, namespace: &str, forget: impl Fn()) {
    let server = Server {
        client,
        namespace: namespace.to_owned(),
    };
    server.objects_are_created_once().await;
    server.who_writes_on_what_has_changed_is_refused().await;
    server.a_status_is_written_by_itself().await;
    server.lists_have_pages_of_one_moment().await;
    server.a_finalizer_holds_what_is_deleted().await;
    server.a_deletion_may_have_conditions().await;
    server.a_watch_tells_every_change_in_order().await;
    server.other_kinds_are_compared_too().await;
    forget();
    server.a_watch_from_what_is_forgotten_ends().await;
}

struct Server {
    client: Client,
    namespace: String,
}

struct Answer {
    code: u16,
    /// The values of the body, one a line.
    lines: Vec<Value>,
}

impl Answer {
    #[track_caller]
    fn ok(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{:#?}", self.lines);
        self.lines.into_iter().next().unwrap()
    }

    /// Holds it to be a refusal with this code and reason.
    #[track_caller]
    fn refused(self, code: u16, reason: &str) {
        let body = self.ok(code);
        assert_eq!(body["kind"], "Status", "{body:#}");
        assert_eq!(body["status"], "Failure", "{body:#}");
        assert_eq!(body["code"], code, "{body:#}");
        assert_eq!(body["reason"], reason, "{body:#}");
    }
}

fn version(object: &Value) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.unwrap().parse().unwrap()
}

fn number(name: &str) -> Value {
    json!({
        "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber", "metadata": {"name": name},
        "spec": {"provider": "twilio", "phoneNumber": "+12125550001"},
    })
}

impl Server {
    fn numbers(&self) -> String {
        format!("{GROUP}/namespaces/{}/phonenumbers", self.namespace)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.numbers())
    }

    async fn ask(&self, method: Method, path: &str, accept: &str, body: Option<&Value>) -> Answer {
        let content = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", accept)
            .header("content-type", content)
            .body(body.map_or_else(Body::empty, |body| {
                Body::from(body.to_string().into_bytes())
            }))
            .unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let date = response.headers().get("date").unwrap().to_str().unwrap();
        httpdate::parse_http_date(date).unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        Answer {
            code,
            lines: lines.collect(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "application/json", None).await
    }

    async fn create(&self, name: &str) -> Value {
        let path = self.numbers();
        self.post(&path, &number(name)).await.ok(201)
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, "application/json", Some(body))
            .await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, "application/json", Some(body))
            .await
    }

    async fn patch(&self, name: &str, patch: Value) -> Answer {
        let path = self.path(name);
        self.ask(Method::PATCH, &path, "application/json", Some(&patch))
            .await
    }

    async fn delete(&self, name: &str, options: Value) -> Answer {
        let path = self.path(name);
        let options = (!options.is_null()).then_some(&options);
        self.ask(Method::DELETE, &path, "application/json", options)
            .await
    }

    async fn objects_are_created_once(&self) {
        self.get(&self.path("one")).await.refused(404, "NotFound");
        let mut one = number("one");
        one["status"] = json!({"id": "PN1"});
        one["metadata"]["uid"] = json!("made-up");
        let made = self.post(&self.numbers(), &one).await.ok(201);
        // The definition says what a status is before the operator has written one.
        let condition = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": "Pending", "message": "Waiting for the operator.",
                "lastTransitionTime": "1970-01-01T00:00:00Z"})
        };
        let conditions = [
            condition("Ready", "Unknown"),
            condition("Reconciling", "True"),
        ];
        let first = json!({"conditions": conditions});
        assert_eq!(made["status"], first, "{made:#}");
        let metadata = &made["metadata"];
        assert_eq!(metadata["generation"], 1);
        assert_eq!(metadata["namespace"], self.namespace.as_str());
        assert!(metadata["creationTimestamp"].is_string() && metadata["uid"].is_string());
        assert_ne!(metadata["uid"], "made-up");
        let again = self.post(&self.numbers(), &number("one")).await;
        again.refused(409, "AlreadyExists");
        let got = self.get(&self.path("one")).await.ok(200);
        assert_eq!(got["metadata"]["uid"], metadata["uid"]);
        assert_eq!(version(&got), version(&made));
    }

    async fn who_writes_on_what_has_changed_is_refused(&self) {
        let before = self.get(&self.path("one")).await.ok(200);
        let claim = json!({"metadata": {
            "resourceVersion": before["metadata"]["resourceVersion"],
            "annotations": {CLAIM: "{}"}, "finalizers": [FINALIZER],
        }});
        let claimed = self.patch("one", claim.clone()).await.ok(200);
        assert_eq!(claimed["metadata"]["annotations"][CLAIM], "{}");
        assert_eq!(claimed["metadata"]["finalizers"], json!([FINALIZER]));
        assert_eq!(claimed["metadata"]["generation"], 1);
        assert!(version(&claimed) > version(&before));
        self.patch("one", claim).await.refused(409, "Conflict");
        self.put(&self.path("one"), &before)
            .await
            .refused(409, "Conflict");
        // What changes nothing is no change.
        let same = json!({"metadata": {"annotations": {CLAIM: "{}"}}});
        let same = self.patch("one", same).await.ok(200);
        assert_eq!(version(&same), version(&claimed));
        // The spec has generations.
        let named = self
            .patch("one", json!({"spec": {"friendlyName": "a name"}}))
            .await
            .ok(200);
        assert_eq!(named["metadata"]["generation"], 2);
        assert_eq!(named["spec"]["phoneNumber"], "+12125550001");
        let gone = self
            .patch("one", json!({"spec": {"friendlyName": null}}))
            .await
            .ok(200);
        assert!(gone["spec"].get("friendlyName").is_none(), "{gone:#}");
        self.patch("none", json!({"metadata": {}}))
            .await
            .refused(404, "NotFound");
    }

    async fn a_status_is_written_by_itself(&self) {
        let path = format!("{}/status", self.path("one"));
        let before = self.get(&self.path("one")).await.ok(200);
        let mut object = before.clone();
        object["status"] = json!({"id": "PN1"});
        object["spec"]["friendlyName"] = json!("not this way");
        let written = self.put(&path, &object).await.ok(200);
        assert_eq!(written["status"]["id"], "PN1");
        assert_eq!(written["spec"], before["spec"]);
        assert_eq!(
            written["metadata"]["generation"],
            before["metadata"]["generation"]
        );
        self.put(&path, &object).await.refused(409, "Conflict");
        object["metadata"]["resourceVersion"] = Value::Null;
        self.put(&path, &object).await.refused(422, "Invalid");
        self.put(&self.path("one"), &object)
            .await
            .refused(422, "Invalid");
        let patched = self
            .patch("one", json!({"status": {"id": "PN2"}}))
            .await
            .ok(200);
        assert_eq!(patched["status"]["id"], "PN1");
        assert_eq!(version(&patched), version(&written));
        let none = format!("{}/status", self.path("none"));
        object["metadata"] =
            json!({"name": "none", "namespace": self.namespace, "resourceVersion": "1"});
        self.put(&none, &object).await.refused(404, "NotFound");
    }

    async fn lists_have_pages_of_one_moment(&self) {
        self.create("three").await;
        self.create("two").await;
        let names = |list: &Value| {
            let items = list["items"].as_array().unwrap().clone();
            let names = items
                .into_iter()
                .map(|item| item["metadata"]["name"].clone());
            names.collect::<Vec<_>>()
        };
        let path = self.numbers();
        let first = self.get(&format!("{path}?limit=2")).await.ok(200);
        assert_eq!(first["kind"], "PhoneNumberList");
        assert_eq!(names(&first), ["one", "three"]);
        assert_eq!(first["metadata"]["remainingItemCount"], 1);
        self.delete("two", Value::Null).await.ok(200);
        self.get(&self.path("two")).await.refused(404, "NotFound");
        let token = first["metadata"]["continue"].as_str().unwrap();
        let second = self
            .get(&format!("{path}?limit=2&continue={token}"))
            .await
            .ok(200);
        assert_eq!(names(&second), ["two"], "as it was when the list began");
        assert_eq!(version(&second), version(&first));
        let token = second["metadata"]["continue"].as_str();
        assert!(token.unwrap_or_default().is_empty(), "{token:?}");
        let whole = self.get(&path).await.ok(200);
        assert_eq!(names(&whole), ["one", "three"]);
        assert!(version(&whole) > version(&first));
        let everywhere = self.get(&format!("{GROUP}/phonenumbers")).await.ok(200);
        assert!(names(&everywhere).contains(&json!("one")));
        let only = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let metadata = self.ask(Method::GET, &path, only, None).await.ok(200);
        assert_eq!(metadata["kind"], "PartialObjectMetadataList");
        assert_eq!(names(&metadata), ["one", "three"]);
        assert!(metadata["items"][0].get("spec").is_none(), "{metadata:#}");
        assert!(metadata["items"][0]["metadata"]["uid"].is_string());
    }

    async fn a_finalizer_holds_what_is_deleted(&self) {
        let before = self.get(&self.path("one")).await.ok(200);
        let deleting = self.delete("one", Value::Null).await.ok(200);
        let (is, was) = (&deleting["metadata"], &before["metadata"]);
        assert!(is["deletionTimestamp"].is_string());
        let generation = was["generation"].as_u64().unwrap();
        assert_eq!(is["generation"], generation + 1);
        assert!(version(&deleting) > version(&before));
        let again = self.delete("one", Value::Null).await.ok(200);
        assert_eq!(
            again["metadata"]["deletionTimestamp"],
            is["deletionTimestamp"]
        );
        let still = self.get(&self.path("one")).await.ok(200);
        assert_eq!(version(&still), version(&deleting));
        let more = json!({"metadata": {"finalizers": [FINALIZER, "example.com/keep"]}});
        self.patch("one", more).await.refused(422, "Invalid");
        // What is being deleted is written to as before.
        let edited = self
            .patch("one", json!({"spec": {"deletionPolicy": "Retain"}}))
            .await
            .ok(200);
        assert!(edited["metadata"]["deletionTimestamp"].is_string());
        let none =
            |version: &Value| json!({"metadata": {"resourceVersion": version, "finalizers": null}});
        self.patch("one", none(&is["resourceVersion"]))
            .await
            .refused(409, "Conflict");
        let gone = self
            .patch("one", none(&edited["metadata"]["resourceVersion"]))
            .await;
        gone.ok(200);
        self.get(&self.path("one")).await.refused(404, "NotFound");
        self.delete("one", Value::Null)
            .await
            .refused(404, "NotFound");
    }

    async fn a_deletion_may_have_conditions(&self) {
        let three = self.get(&self.path("three")).await.ok(200);
        let metadata = &three["metadata"];
        let uid = json!({"preconditions": {"uid": "another"}});
        self.delete("three", uid).await.refused(409, "Conflict");
        let old = json!({"preconditions": {"resourceVersion": "1"}});
        self.delete("three", old).await.refused(409, "Conflict");
        let right = json!({"preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}});
        let deleted = self.delete("three", right).await.ok(200);
        assert_eq!(deleted["status"], "Success", "{deleted:#}");
        self.get(&self.path("three")).await.refused(404, "NotFound");
    }

    async fn a_watch_tells_every_change_in_order(&self) {
        let path = self.numbers();
        let since = self.get(&path).await.ok(200)["metadata"]["resourceVersion"].clone();
        let since = since.as_str().unwrap();
        self.create("four").await;
        let held = json!({"metadata": {"finalizers": [FINALIZER]}});
        self.patch("four", held).await.ok(200);
        self.delete("four", Value::Null).await.ok(200);
        let none = json!({"metadata": {"finalizers": null}});
        self.patch("four", none).await.ok(200);
        let options = "watch=true&timeoutSeconds=5&allowWatchBookmarks=true";
        let watch = self
            .get(&format!("{path}?{options}&resourceVersion={since}"))
            .await;
        // A bookmark may come at any time, or not at all in so short a watch.
        let (bookmarks, told): (Vec<&Value>, Vec<&Value>) = watch
            .lines
            .iter()
            .partition(|event| event["type"] == "BOOKMARK");
        let types: Vec<_> = told.iter().map(|event| &event["type"]).collect();
        assert_eq!(types, ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]);
        let versions: Vec<u64> = told.iter().map(|event| version(&event["object"])).collect();
        assert!(versions.is_sorted(), "{versions:?}");
        assert!(versions[0] < versions[3], "{versions:?}");
        let from: u64 = since.parse().unwrap();
        for bookmark in bookmarks {
            assert!(version(&bookmark["object"]) >= from, "{bookmark:#}");
        }
        let deleted = &told[3]["object"];
        assert_eq!(deleted["kind"], "PhoneNumber");
        assert!(deleted["metadata"]["deletionTimestamp"].is_string());
        // From the middle.
        let since = versions[1];
        let options = "watch=true&timeoutSeconds=1";
        let watch = self
            .get(&format!("{path}?{options}&resourceVersion={since}"))
            .await;
        let told: Vec<_> = watch.lines.iter().map(|event| &event["type"]).collect();
        assert_eq!(told, ["MODIFIED", "DELETED"]);
    }

    /// The counts of limits are a ConfigMap, and who leads is a Lease.
    async fn other_kinds_are_compared_too(&self) {
        for (path, api_version, kind, content) in [
            ("/api/v1", "v1", "ConfigMap", "data"),
            (
                "/apis/coordination.k8s.io/v1",
                "coordination.k8s.io/v1",
                "Lease",
                "spec",
            ),
        ] {
            let plural = format!("{}s", kind.to_lowercase());
            let path = format!("{path}/namespaces/{}/{plural}", self.namespace);
            let holding = |text: &str| match kind {
                "Lease" => json!({"holderIdentity": text}),
                _ => json!({"count": text}),
            };
            let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "one"},
                content: holding("first")});
            let made = self.post(&path, &object).await.ok(201);
            self.post(&path, &object)
                .await
                .refused(409, "AlreadyExists");
            let one = format!("{path}/one");
            let mut next = made.clone();
            next[content] = holding("second");
            let written = self.put(&one, &next).await.ok(200);
            assert_eq!(written[content], holding("second"));
            self.put(&one, &next).await.refused(409, "Conflict");
            self.get(&format!("{path}/none"))
                .await
                .refused(404, "NotFound");
        }
    }

    async fn a_watch_from_what_is_forgotten_ends(&self) {
        let path = self.numbers();
        let watch = self
            .get(&format!("{path}?watch=true&resourceVersion=1"))
            .await;
        let event = watch.ok(200);
        assert_eq!(event["type"], "ERROR", "{event:#}");
        assert_eq!(event["object"]["code"], 410, "{event:#}");
        assert_eq!(event["object"]["reason"], "Expired", "{event:#}");
    }
}
