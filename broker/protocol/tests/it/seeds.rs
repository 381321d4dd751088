//! Seed corpus of the request frame fuzz target: a request of every API in every message layout,
//! generated from the message tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;

use avouch_protocol::chunk::joined;
use avouch_protocol::frame;
use avouch_protocol::header::RequestHeader;
use avouch_protocol::message::Message;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::messages::encode;
use super::{Visit, visit_all};

/// Frames without their length, by file name.
#[derive(Default)]
struct Seeds(BTreeMap<String, Vec<u8>>);

impl Visit for Seeds {
    fn message<Local, Reference>(&mut self)
    where
        Local: Message + Clone + Debug + PartialEq,
        Reference: Encodable + Decodable + Debug + kafka_protocol::protocol::Message,
    {
        if !std::any::type_name::<Local>().ends_with("Request") {
            return;
        }
        let mut layouts = BTreeSet::new();
        for version in Local::VERSIONS {
            let message = <Local as Message>::example(version, false).unwrap();
            if layouts.insert(encode(&message, version).unwrap()) {
                let header = RequestHeader {
                    api_key: Local::API.code(),
                    api_version: version,
                    correlation_id: 1,
                    client_id: Some("c".to_owned()),
                };
                let frame = joined(&frame::request(&header, &message).unwrap()).unwrap();
                let name = format!("{}-{version}", Local::API.name());
                self.0.insert(name, frame[4..].to_vec());
            }
        }
    }
}

// Conformance: broker/input-12
#[test]
fn fuzz_corpus_has_every_request_layout() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/frames");
    let mut seeds = Seeds::default();
    visit_all(&mut seeds);
    for (name, frame) in seeds.0 {
        let path = corpus.join(&name);
        if std::env::var_os("UPDATE_SEEDS").is_some() {
            std::fs::write(&path, &frame).unwrap();
        }
        assert!(
            std::fs::read(&path).is_ok_and(|seed| seed == frame),
            "{name}"
        );
    }
}
