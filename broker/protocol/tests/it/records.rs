//! Record batches: against `kafka-protocol`'s, broken ones, and what a client must not send.

use avouch_protocol::batch::{BatchHeader, Codec, HEADER_BYTES, crc_matches};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::compress::{Decompressor, Limits, compress};
use avouch_protocol::records::{
    ClientBatchError, MAX_HEADERS, RecordFault, RecordIter, verify_client_batch,
};
use avouch_protocol::types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as theirs;

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];

type Fields = (
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    i64,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

/// Records with all kinds of null and empty, and values that span several snappy blocks.
fn samples() -> Vec<Fields> {
    let mut records: Vec<Fields> = vec![
        (None, None, 1_000, vec![]),
        (
            Some(vec![]),
            Some(vec![]),
            999,
            vec![(b"".to_vec(), Some(vec![]))],
        ),
        (
            Some(b"key".to_vec()),
            None,
            1_000,
            vec![(b"h".to_vec(), None), (b"i".to_vec(), None)],
        ),
    ];
    records.extend((0..300_u16).map(|index| {
        let value = index.to_be_bytes().repeat(usize::from(index) + 1);
        (
            None,
            Some(value),
            1_000 + i64::from(index),
            vec![(b"h".to_vec(), Some(vec![1, 2]))],
        )
    }));
    records
}

fn build(codec: Codec, records: &[Fields]) -> Bytes {
    let mut builder =
        BatchBuilder::new(codec).producer(ProducerId(7), ProducerEpoch(2), Sequence(40));
    for (key, value, timestamp, headers) in records {
        let headers: Vec<_> = headers
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
            .collect();
        builder.push(
            key.as_deref(),
            value.as_deref(),
            TimestampMs(*timestamp),
            &headers,
        );
    }
    builder.finish()
}

fn walk(batch: &[u8]) -> Vec<Fields> {
    let header = BatchHeader::parse(batch).unwrap();
    let mut decompressor = Decompressor::new();
    let section = decompressor
        .inflate(
            header.codec().unwrap(),
            &batch[HEADER_BYTES..],
            Limits::default(),
        )
        .unwrap();
    RecordIter::new(section, header.record_count)
        .map(|record| {
            let record = record.unwrap();
            (
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
                header.base_timestamp.0 + record.timestamp_delta,
                record
                    .headers
                    .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                    .collect(),
            )
        })
        .collect()
}

#[test]
fn batches_we_build_are_read_by_the_other_implementation() {
    for codec in CODECS {
        let samples = samples();
        let batch = build(codec, &samples);
        assert!(crc_matches(&batch));
        let set = theirs::RecordBatchDecoder::decode_with_custom_compression(
            &mut batch.clone(),
            Some(|bytes: &mut Bytes, codec| Ok(one_shot_inflate(bytes, codec))),
        )
        .unwrap();
        assert_eq!(set.records.len(), samples.len());
        for (index, (record, sample)) in (0..).zip(set.records.iter().zip(&samples)) {
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|(key, value)| (key.as_bytes().to_vec(), value.as_ref().map(|v| v.to_vec())))
                .collect();
            let key = record.key.as_ref().map(|key| key.to_vec());
            let value = record.value.as_ref().map(|value| value.to_vec());
            assert_eq!(
                (key, value, record.timestamp, headers),
                *sample,
                "{codec:?} {index}"
            );
            assert_eq!(record.offset, i64::from(index));
            assert_eq!((record.producer_id, record.producer_epoch), (7, 2));
            assert_eq!(record.sequence, 40 + index);
        }
    }
}

#[test]
fn batches_of_the_other_implementation_are_walked() {
    let codecs = [
        theirs::Compression::None,
        theirs::Compression::Gzip,
        theirs::Compression::Snappy,
        theirs::Compression::Lz4,
        theirs::Compression::Zstd,
    ];
    let samples = samples();
    let records: Vec<_> = (0..)
        .zip(&samples)
        .map(|(index, sample)| their_record(index, sample))
        .collect();
    for compression in codecs {
        let options = theirs::RecordEncodeOptions {
            version: 2,
            compression,
        };
        let mut batch = BytesMut::new();
        theirs::RecordBatchEncoder::encode_with_custom_compression(
            &mut batch,
            &records,
            &options,
            Some(|section: &mut BytesMut, out: &mut BytesMut, codec| {
                out.extend_from_slice(&one_shot_deflate(section, codec));
                Ok(())
            }),
        )
        .unwrap();
        assert!(crc_matches(&batch));
        assert_eq!(walk(&batch), samples);
    }
}

fn their_record(index: i32, (key, value, timestamp, headers): &Fields) -> theirs::Record {
    theirs::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: theirs::TimestampType::Creation,
        offset: index.into(),
        sequence: index,
        timestamp: *timestamp,
        key: key.clone().map(Bytes::from),
        value: value.clone().map(Bytes::from),
        headers: headers
            .iter()
            .map(|(key, value)| {
                let key = StrBytes::from_utf8(key.clone().into()).unwrap();
                (key, value.clone().map(Bytes::from))
            })
            .collect::<IndexMap<_, _>>(),
    }
}

/// Decompresses with each codec's own one-shot call, xerial's frames taken apart by hand.
fn one_shot_inflate(bytes: &[u8], codec: theirs::Compression) -> Bytes {
    use std::io::Read;
    let mut out = Vec::new();
    match codec {
        theirs::Compression::None => out.extend_from_slice(bytes),
        theirs::Compression::Gzip => {
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut out)
                .unwrap();
        }
        theirs::Compression::Snappy => {
            assert_eq!(&bytes[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
            let mut rest = &bytes[16..];
            while let Some((length, behind)) = rest.split_first_chunk() {
                let (block, behind) =
                    behind.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
                out.extend(snap::raw::Decoder::new().decompress_vec(block).unwrap());
                rest = behind;
            }
        }
        theirs::Compression::Lz4 => {
            lz4_flex::frame::FrameDecoder::new(bytes)
                .read_to_end(&mut out)
                .unwrap();
        }
        theirs::Compression::Zstd => out = zstd::stream::decode_all(bytes).unwrap(),
    }
    out.into()
}

/// Compresses as librdkafka does: snappy raw.
fn one_shot_deflate(bytes: &[u8], codec: theirs::Compression) -> Vec<u8> {
    match codec {
        theirs::Compression::None => bytes.to_vec(),
        theirs::Compression::Gzip => compress(Codec::Gzip, bytes),
        theirs::Compression::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        theirs::Compression::Lz4 => compress(Codec::Lz4, bytes),
        theirs::Compression::Zstd => zstd::stream::encode_all(bytes, 1).unwrap(),
    }
}

#[test]
fn repeated_header_keys_are_kept_in_order() {
    let headers: [(&[u8], Option<&[u8]>); 3] =
        [(b"a", Some(b"1")), (b"b", None), (b"a", Some(b"2"))];
    let mut builder = BatchBuilder::new(Codec::None);
    let batch = builder.push(None, None, TimestampMs(5), &headers).finish();
    let record = RecordIter::new(&batch[HEADER_BYTES..], 1)
        .next()
        .unwrap()
        .unwrap();
    let read: Vec<_> = record
        .headers
        .map(|header| (header.key, header.value))
        .collect();
    assert_eq!(read, headers);
}

#[test]
fn a_builder_counts_and_marks() {
    let mut builder = BatchBuilder::new(Codec::None).transactional().control();
    assert!(builder.is_empty());
    builder.push(Some(b"k"), Some(b"v"), TimestampMs(20), &[]);
    builder.push(Some(b"k"), Some(b"v"), TimestampMs(10), &[]);
    assert_eq!(builder.len(), 2);
    let header = BatchHeader::parse(&builder.finish()).unwrap();
    assert!(header.is_transactional() && header.is_control() && !header.has_producer());
    assert_eq!((header.record_count, header.last_offset_delta), (2, 1));
    assert_eq!(
        (header.base_timestamp, header.max_timestamp),
        (TimestampMs(20), TimestampMs(20))
    );
}

/// A record of these fields after its length, and its length before it.
fn record(fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(fields.len()).unwrap() * 2];
    bytes.extend_from_slice(fields);
    bytes
}

/// What is wrong with a section that should hold two records: record, byte of the section, fault.
#[track_caller]
fn assert_fault(section: &[u8], expected: (i32, usize, RecordFault)) {
    let mut records = RecordIter::new(section, 2);
    let error = records.by_ref().find_map(Result::err).unwrap();
    assert_eq!((error.index, error.at, error.fault), expected);
    assert!(records.next().is_none(), "the walk ends after an error");
}

/// A record of nulls: attributes, timestamp delta, offset delta, key, value, header count.
const NULLS: [u8; 6] = [0, 0, 0, 1, 1, 0];

// Conformance: broker/input-7
#[test]
fn a_section_holds_exactly_the_records_counted() {
    let whole = record(&NULLS);
    assert_fault(&[], (0, 0, RecordFault::Truncated));
    assert_fault(&whole, (1, 7, RecordFault::Truncated));
    assert_fault(&whole.repeat(3), (2, 14, RecordFault::LongSection(7)));
}

#[test]
fn a_record_holds_exactly_its_fields() {
    assert_fault(&[14, 0], (0, 1, RecordFault::Truncated));
    assert_fault(&[1], (0, 0, RecordFault::BadLength(-1)));
    assert_fault(&[0x80; 6], (0, 0, RecordFault::BadVarint));
    assert_fault(&record(&NULLS[..5]), (0, 6, RecordFault::Truncated));
    assert_fault(
        &record(&[0, 0, 0, 20, 1, 0]),
        (0, 5, RecordFault::Truncated),
    );
    assert_fault(
        &record(&[0, 0, 0, 3, 1, 0]),
        (0, 4, RecordFault::BadLength(-2)),
    );
    assert_fault(
        &record(&[0, 0, 0, 1, 1, 0, 9]),
        (0, 7, RecordFault::LongRecord(1)),
    );
}

// Conformance: broker/input-9
#[test]
fn headers_are_counted_and_have_keys() {
    let nulls_and = |headers: &[u8]| record(&[&NULLS[..5], headers].concat());
    assert_fault(&nulls_and(&[1]), (0, 6, RecordFault::BadHeaderCount(-1)));
    assert_fault(
        &nulls_and(&[0xd2, 0x0f]),
        (0, 6, RecordFault::BadHeaderCount(1001)),
    );
    assert_fault(&nulls_and(&[2, 1, 1]), (0, 7, RecordFault::BadLength(-1)));
    assert_fault(&nulls_and(&[4, 0, 1]), (0, 9, RecordFault::Truncated));
}

// Conformance: broker/input-9
#[test]
fn as_many_headers_as_the_limit_pass() {
    let count = usize::try_from(MAX_HEADERS).unwrap();
    let headers = vec![(&b""[..], None); count];
    let batch = BatchBuilder::new(Codec::None)
        .push(None, None, TimestampMs(0), &headers)
        .finish();
    let record = RecordIter::new(&batch[HEADER_BYTES..], 1)
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(record.headers.count(), count);
}

// Conformance: broker/input-7, validator/5
#[test]
fn a_batch_cut_or_damaged_anywhere_never_panics_and_no_cut_passes() {
    let samples = &samples()[..20];
    let mut decompressor = Decompressor::new();
    for codec in CODECS {
        let batch = build(codec, samples);
        let compressed = &batch[HEADER_BYTES..];
        let mut passes = |bytes: &[u8]| {
            let section = decompressor.inflate(codec, bytes, Limits::default());
            section.is_ok_and(|section| RecordIter::new(section, 20).all(|record| record.is_ok()))
        };
        assert!(passes(compressed), "{codec:?}");
        for end in 0..compressed.len() {
            assert!(
                !passes(&compressed[..end]),
                "{codec:?} to {end} of {}",
                compressed.len()
            );
        }
        for at in 0..compressed.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = compressed.to_vec();
                damaged[at] ^= flip;
                // Codecs without a checksum can yield other records; the batch's CRC is for that.
                passes(&damaged);
            }
        }
        assert!(passes(compressed), "{codec:?} after errors");
    }
}

// Conformance: broker/produce-1, broker/input-7
#[test]
fn what_a_client_must_not_send_is_named() {
    let count = |record_count, last_offset_delta| ClientBatchError::BadCount {
        record_count,
        last_offset_delta,
    };
    type Change = fn(&mut BatchHeader);
    let cases: [(&str, Change, usize, ClientBatchError); 8] = [
        (
            "two batches",
            |_| (),
            5,
            ClientBatchError::MoreThanOneBatch(5),
        ),
        (
            "an offset",
            |header| header.base_offset = Offset(3),
            0,
            ClientBatchError::BaseOffset(3),
        ),
        (
            "no record",
            |header| header.record_count = 0,
            0,
            count(0, 2),
        ),
        (
            "fewer than said",
            |header| header.record_count = 2,
            0,
            count(2, 2),
        ),
        (
            "holes",
            |header| header.last_offset_delta = 4,
            0,
            count(3, 4),
        ),
        (
            "control",
            |header| header.attributes |= 0x20,
            0,
            ClientBatchError::Control,
        ),
        (
            "append time",
            |header| header.attributes |= 0x08,
            0,
            ClientBatchError::AppendTime,
        ),
        (
            "no sequence",
            |header| header.base_sequence = Sequence(-1),
            0,
            ClientBatchError::NoSequence,
        ),
    ];
    let batch = build(Codec::None, &samples()[..3]);
    let header = BatchHeader::parse(&batch).unwrap();
    let section = &batch[HEADER_BYTES..];
    assert_eq!(
        verify_client_batch(&header, batch.len(), section),
        Ok(TimestampMs(1_000))
    );
    for (name, change, more_bytes, error) in cases {
        let mut header = header;
        change(&mut header);
        let verdict = verify_client_batch(&header, batch.len() + more_bytes, section);
        assert_eq!(verdict, Err(error), "{name}");
    }
}

// Conformance: broker/produce-1, broker/input-7
#[test]
fn a_clients_records_count_their_offsets_from_zero() {
    let batch = build(Codec::None, &samples()[..2]);
    let header = BatchHeader::parse(&batch).unwrap();
    let mut section = batch[HEADER_BYTES..].to_vec();
    section[3] = 2;
    let error = verify_client_batch(&header, batch.len(), &section).unwrap_err();
    assert_eq!(
        error.to_string(),
        "record 0, byte 0: offset delta 1 is not the record's index"
    );
}
