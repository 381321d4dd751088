//! Consumer groups.

use std::collections::BTreeSet;

use avouch_coordinator::group::{
    DeleteOffsets, GroupDescription, GroupError, GroupListing, ListGroups,
};
use avouch_protocol::types::PartitionIndex;

use super::{Admin, AdminError};

impl Admin {
    /// Returns the groups that match `filter`.
    ///
    /// # Errors
    /// If the coordinator is loading or shutting down.
    pub(crate) async fn list_groups(
        &self,
        filter: ListGroups,
    ) -> Result<Vec<GroupListing>, GroupError> {
        self.groups.list(filter).await
    }

    /// Describes each group, in the order of `names`.
    pub(crate) async fn describe_groups(
        &self,
        names: &[String],
    ) -> Vec<Result<GroupDescription, GroupError>> {
        let ids = names.iter().map(|name| name.as_str().into()).collect();
        match self.groups.describe(ids).await {
            Ok(groups) => groups,
            // An error of the coordinator applies to every group.
            Err(error) => vec![Err(error); names.len()],
        }
    }

    /// Deletes groups without members, with their offsets. A group that `names` contains twice is
    /// deleted once.
    pub(crate) async fn delete_groups(
        &self,
        names: Vec<String>,
    ) -> Vec<(String, Result<(), GroupError>)> {
        let names: BTreeSet<String> = names.into_iter().collect();
        let ids = names.iter().map(|name| name.as_str().into()).collect();
        let outcomes = self.groups.delete_groups(ids).await;
        names.into_iter().zip(outcomes).collect()
    }

    /// Deletes committed offsets of a group. Returns an outcome for each of `partitions`, in order.
    ///
    /// # Errors
    /// If the group does not exist or has members that are not consumers.
    pub(crate) async fn delete_offsets(
        &self,
        group: String,
        partitions: &[(&str, i32)],
    ) -> Result<Vec<Result<(), AdminError>>, GroupError> {
        let cluster = self.metadata.cluster();
        let exists = |topic: &str, index: i32| cluster.partition(topic, index).is_some();
        let existing = partitions
            .iter()
            .filter(|(topic, index)| exists(topic, *index))
            .map(|(topic, index)| ((*topic).into(), PartitionIndex(*index)))
            .collect();
        let deleted = self.groups.delete_offsets(DeleteOffsets {
            group: group.into(),
            partitions: existing,
        });
        // The coordinator gets only partitions that exist; its outcomes are merged back in order.
        let mut deleted = deleted.await?.into_iter();
        let outcomes = partitions.iter().map(|(topic, index)| {
            if exists(topic, *index) {
                deleted.next().unwrap_or(Ok(())).map_err(AdminError::from)
            } else {
                Err(AdminError::UnknownPartition)
            }
        });
        Ok(outcomes.collect())
    }
}
