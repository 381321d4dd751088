//! DescribeClientQuotas: returns quotas by user, client id and address (KIP-546).

use crate::message::message;

message! {
    DescribeClientQuotas:
    /// A filter of entities.
    pub struct DescribeClientQuotasRequest {
        components: Vec<ComponentData>,
        /// Excludes entities with further components.
        strict: bool,
    }

    /// A filter of one type of entity.
    pub struct ComponentData {
        entity_type: String,
        /// 0 matches the name, 1 the default, 2 any name.
        match_type: i8,
        /// The name; null unless the type is 0.
        _match: Option<String>,
    }
}

message! {
    DescribeClientQuotas:
    /// The quotas.
    pub struct DescribeClientQuotasResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        /// Null after an error.
        entries: Option<Vec<EntryData>>,
    }

    /// The quotas of an entity.
    pub struct EntryData {
        entity: Vec<EntityData>,
        values: Vec<ValueData>,
    }

    /// A component of an entity.
    pub struct EntityData {
        entity_type: String,
        /// Null for the default.
        entity_name: Option<String>,
    }

    /// A quota.
    pub struct ValueData {
        key: String,
        value: f64,
    }
}
