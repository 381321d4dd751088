//! Heartbeat: extends the session of a group member.

use crate::message::message;

// Versions 1 and 2 equal 0.
message! {
    Heartbeat:
    /// The member.
    pub struct HeartbeatRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
    }
}

message! {
    Heartbeat:
    /// An error code if the member must rejoin.
    pub struct HeartbeatResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: i16,
    }
}
