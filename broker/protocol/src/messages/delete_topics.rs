//! DeleteTopics: deletes topics by name or, from version 6 on, by id.

use uuid::Uuid;

use crate::message::message;

// Versions 2 and 3 equal 1. From version 5 on the broker can return
// THROTTLING_QUOTA_EXCEEDED (KIP-599).
message! {
    DeleteTopics:
    /// The topics to delete.
    pub struct DeleteTopicsRequest {
        topics: Vec<DeleteTopicState> [6..],
        topic_names: Vec<String> [..=5, ignorable],
        timeout_ms: i32,
    }

    /// A topic by name or by id.
    pub struct DeleteTopicState {
        name: Option<String>,
        topic_id: Uuid,
    }
}

message! {
    DeleteTopics:
    /// The topics deleted.
    pub struct DeleteTopicsResponse {
        throttle_time_ms: i32,
        responses: Vec<DeletableTopicResult>,
    }

    /// The result for one topic.
    pub struct DeletableTopicResult {
        name: Option<String> [.., null 6..],
        topic_id: Uuid [6.., ignorable],
        error_code: i16,
        error_message: Option<String> [5.., ignorable],
    }
}
