//! Heartbeat: stay a member of a group.

use crate::message::message;

message! {
    Heartbeat:
    /// A member's sign of life.
    pub struct HeartbeatRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
    }
}

message! {
    Heartbeat:
    /// Whether the member still belongs to the generation.
    pub struct HeartbeatResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: i16,
    }
}
