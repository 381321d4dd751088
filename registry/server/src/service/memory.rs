//! The most frequent lookups, served from memory: schemas by id, and the subject of an alias. An id
//! is read again once a version of it changed, on this node or another one: its schema may have
//! been deleted permanently and another one imported under it. While the database is unavailable,
//! the last known response is served.

use std::cmp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::web::Bytes;
use avouch_registry_api::freshness::Changed as ChangedIds;
use avouch_registry_api::rest::{ChangesBody, SchemaBody};
use avouch_registry_api::source::{RegisteredSchema, SubjectVersion};
use avouch_registry_api::types::SchemaId;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::decide::register::VersionRow;
use crate::decide::subject::{DEFAULT_CONTEXT, Subject};
use crate::error::RegistryError;
use crate::remembered::{Changed, Remembered};
use crate::service::{Service, content_body};
use crate::store::changes::{self, News};
use crate::store::edges::{self, ReferenceError};
use crate::store::{schemas, settings, versions};

/// Context and id.
type IdKey = (String, SchemaId);
/// The subjects that aliases stand for, by alias.
type Aliases = HashMap<String, Subject>;

/// Everything that is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    known: Remembered<IdKey, Arc<Known>>,
    registered: Remembered<IdKey, Arc<RegisteredSchema>>,
    /// By context: most have few, and a subject without one need not be asked for.
    aliases: Remembered<String, Arc<Aliases>>,
    /// How far changes were taken in.
    seq: Mutex<u64>,
    /// This process.
    instance: Uuid,
    /// How often the database may have become another one since the process started.
    resets: AtomicU64,
}

/// An id, its content as an answer, and where it is registered.
#[derive(Debug)]
pub(super) struct Known {
    body: SchemaBody,
    /// Subject, version, and when it was created, by subject and version.
    holders: Vec<(String, VersionRow, i64)>,
    /// What a look-up that names no subject is told, written out.
    answer: Bytes,
}

impl Memory {
    /// Nothing yet, with changes taken in up to `seq`.
    pub(super) fn new(seq: u64) -> Self {
        Self {
            known: Remembered::new(seq),
            registered: Remembered::new(seq),
            aliases: Remembered::new(seq),
            seq: Mutex::new(seq),
            instance: Uuid::new_v4(),
            resets: AtomicU64::new(0),
        }
    }

    fn take_in(&self, news: &News) {
        let ids = news.ids.as_deref().map_or(Changed::Any, Changed::These);
        self.known.change(news.seq, &ids);
        self.registered.change(news.seq, &ids);
        let aliases = if news.configs {
            Changed::Any
        } else {
            Changed::These(&[])
        };
        self.aliases.change(news.seq, &aliases);
    }
}

impl Service {
    /// Takes in what changed up to `seq` at least, which was committed.
    pub(super) async fn take_in(&self, seq: u64) {
        let mut taken_in = self.memory.seq.lock().await;
        if *taken_in >= seq {
            return;
        }
        let news = self.news_since(*taken_in).await;
        // When that cannot be told, any answer may be another by now.
        let news = news.unwrap_or(News {
            seq,
            ids: None,
            configs: true,
        });
        *taken_in = news.seq.max(seq);
        self.announce(*taken_in, &news);
    }

    /// Reads the changes of all nodes and takes them in. `may_be_restored` says that the connection
    /// to the database was lost: it may have been restored from a backup meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn catch_up(&self, may_be_restored: bool) -> Result<(), RegistryError> {
        let mut taken_in = self.memory.seq.lock().await;
        let mut news = self.news_since(*taken_in).await?;
        let is_restored = may_be_restored || news.seq < *taken_in;
        if is_restored {
            news = News {
                seq: news.seq,
                ids: None,
                configs: true,
            };
            self.memory.resets.fetch_add(1, Ordering::AcqRel);
        }
        if is_restored || news.seq > *taken_in {
            *taken_in = news.seq;
            self.announce(news.seq, &news);
        }
        Ok(())
    }

    /// Takes in what other nodes have changed, for a response that must not be older.
    pub(crate) async fn catch_up_with_other_nodes(&self) {
        if !self.store.is_own() {
            // Without its database a node serves what it knows; all of it changes once it is back.
            let _away = self.catch_up(false).await;
        }
    }

    /// Invalidates what changed, in this order: caches here, caches of a broker in this process,
    /// and then the sequence that lets remote brokers query again.
    fn announce(&self, seq: u64, news: &News) {
        self.memory.take_in(news);
        let ids = default_ids(news);
        let changed = ids.as_deref().map_or(ChangedIds::Any, ChangedIds::Ids);
        self.freshness.record(seq, changed);
        self.change_seq.send_if_modified(|known| {
            let is_news = seq != *known;
            *known = seq;
            is_news
        });
    }

    /// Waits for changes after `since`, at most for `patience`, and returns what changed.
    pub(crate) async fn changes(&self, since: u64, patience: Duration) -> ChangesBody {
        let seq = self.change_beyond(since, patience).await;
        let ids = match seq.cmp(&since) {
            cmp::Ordering::Equal => Some(Vec::new()),
            cmp::Ordering::Less => None,
            // The database may be ahead of `seq`; ids too many cost a lookup each.
            cmp::Ordering::Greater => match self.news_since(since).await {
                Ok(news) => default_ids(&news),
                Err(_away) => None,
            },
        };
        let (instance, resets) = (self.memory.instance, &self.memory.resets);
        ChangesBody {
            seq,
            instance: Some(format!("{instance}-{}", resets.load(Ordering::Acquire))),
            ids,
        }
    }

    async fn news_since(&self, seq: u64) -> Result<News, RegistryError> {
        let mut snapshot = self.store.engine.begin_probe().await?;
        Ok(changes::since(&mut snapshot, seq).await?)
    }

    /// What an id stands for.
    ///
    /// # Errors
    /// When the database fails and the id was never asked for before.
    pub(super) async fn known(
        &self,
        context: &str,
        id: SchemaId,
    ) -> Result<Option<Arc<Known>>, RegistryError> {
        let key = (context.to_owned(), id);
        if let Some(known) = self.memory.known.fresh(&key) {
            return Ok(Some(known));
        }
        let seq = self.memory.known.seq();
        match self.read_known(context, id).await {
            Ok(Some(known)) => {
                let known = Arc::new(known);
                let bytes = known.bytes();
                self.memory.known.put(key, seq, bytes, Arc::clone(&known));
                Ok(Some(known))
            }
            Ok(None) => {
                self.memory.known.remove(&key);
                Ok(None)
            }
            Err(error) => self.memory.known.stale(&key).map(Some).ok_or(error),
        }
    }

    async fn read_known(
        &self,
        context: &str,
        id: SchemaId,
    ) -> Result<Option<Known>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let Some(content) = schemas::content(&mut snapshot, context, id).await? else {
            return Ok(None);
        };
        let holders = versions::holders(&mut snapshot, context, id).await?;
        Known::new(content_body(content), holders).map(Some)
    }

    /// The answer to a look-up of an id, written out, if memory alone is enough for it.
    pub(crate) fn recall(&self, id: SchemaId, subject: Option<Subject>) -> Option<Bytes> {
        let known = |context: &str| self.memory.known.fresh(&(context.to_owned(), id));
        let Some(subject) = subject else {
            return Some(known(DEFAULT_CONTEXT)?.answer.clone());
        };
        let aliases = self.memory.aliases.fresh(&subject.context)?;
        let subject = behind(&aliases, subject);
        let known = known(&subject.context)?;
        // An id that the default context's subject does not hold is looked for in the others.
        let is_there = subject.context != DEFAULT_CONTEXT || known.is_held_by(&subject.name);
        let answer = is_there.then(|| written(&known.told(&subject.name, None)))?;
        answer.ok()
    }

    /// What an id stands for, as a broker has it: with the texts it needs. From memory only if
    /// `remembered` will do, which it does not where another node may have changed something.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn registered(
        &self,
        context: &str,
        id: SchemaId,
        remembered: bool,
    ) -> Result<Option<Arc<RegisteredSchema>>, RegistryError> {
        let key = (context.to_owned(), id);
        if remembered && let Some(schema) = self.memory.registered.fresh(&key) {
            return Ok(Some(schema));
        }
        let seq = self.memory.registered.seq();
        let schema = self.read_registered(context, id).await?.map(Arc::new);
        match &schema {
            Some(schema) => {
                let texts = schema.references.iter().map(String::len);
                let bytes = schema.text.len() + texts.sum::<usize>();
                let schema = Arc::clone(schema);
                self.memory.registered.put(key, seq, bytes, schema);
            }
            None => self.memory.registered.remove(&key),
        }
        Ok(schema)
    }

    async fn read_registered(
        &self,
        context: &str,
        id: SchemaId,
    ) -> Result<Option<RegisteredSchema>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let Some(content) = schemas::content(&mut snapshot, context, id).await? else {
            return Ok(None);
        };
        let holders = versions::holders(&mut snapshot, context, id).await?;
        let references = edges::dependencies(&mut snapshot, context, &content.references).await;
        // What an import left without its references cannot be understood, however often it is
        // asked for: that is for the broker to find.
        let references = match references {
            Err(ReferenceError::Store(error)) => return Err(error.into()),
            references => references.unwrap_or_default(),
        };
        let versions = holders.into_iter().map(|(subject, row, _)| SubjectVersion {
            subject,
            version: row.version,
            deleted: row.deleted,
        });
        Ok(Some(RegisteredSchema {
            id,
            schema_type: content.schema_type,
            text: content.text,
            references,
            versions: versions.collect(),
        }))
    }

    /// The subject that requests for this one act on: itself, or the one its configuration names.
    ///
    /// # Errors
    /// When the database fails and no subject of the context was asked for before.
    pub(crate) async fn behind_alias(&self, subject: Subject) -> Result<Subject, RegistryError> {
        let aliases = self.aliases(&subject.context).await?;
        Ok(behind(&aliases, subject))
    }

    async fn aliases(&self, context: &str) -> Result<Arc<Aliases>, RegistryError> {
        let remembered = &self.memory.aliases;
        if let Some(aliases) = remembered.fresh(context) {
            return Ok(aliases);
        }
        let seq = remembered.seq();
        match self.read_aliases(context).await {
            Ok(aliases) => {
                let aliases = Arc::new(aliases);
                let texts = aliases.iter();
                let texts = texts.map(|(alias, subject)| alias.len() + subject.name.len() + 128);
                let bytes = context.len() + texts.sum::<usize>() + 128;
                remembered.put(context.to_owned(), seq, bytes, Arc::clone(&aliases));
                Ok(aliases)
            }
            Err(error) => remembered.stale(context).ok_or(error),
        }
    }

    async fn read_aliases(&self, context: &str) -> Result<Aliases, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let aliases = settings::aliases(&mut snapshot, context).await?;
        let aliases = aliases
            .into_iter()
            .map(|(alias, subject)| (alias, Subject::within(context, &subject)));
        Ok(aliases.collect())
    }
}

/// Returns the changed ids of the default context, each once, or `None` when any may have changed.
fn default_ids(news: &News) -> Option<Vec<SchemaId>> {
    let ids = news.ids.as_ref()?.iter();
    let ids = ids.filter(|(context, _)| context == DEFAULT_CONTEXT);
    let ids: BTreeSet<SchemaId> = ids.map(|(_, id)| *id).collect();
    Some(ids.into_iter().collect())
}

/// The subject that an alias stands for; any other subject itself.
fn behind(aliases: &Aliases, subject: Subject) -> Subject {
    aliases.get(&subject.name).cloned().unwrap_or(subject)
}

impl Known {
    fn new(
        body: SchemaBody,
        holders: Vec<(String, VersionRow, i64)>,
    ) -> Result<Self, RegistryError> {
        let mut known = Self {
            body,
            holders,
            answer: Bytes::new(),
        };
        known.answer = written(&known.told("", None))?;
        Ok(known)
    }

    /// What a look-up that means `subject` is told: the subject and its version if it holds the
    /// id, and what was asked for beside.
    pub(super) fn told(&self, subject: &str, max_id: Option<SchemaId>) -> SchemaBody {
        let holders = &self.holders;
        let named = holders.iter().rfind(|(holder, ..)| holder == subject);
        let first_live = || holders.iter().find(|(_, row, _)| !row.deleted);
        let shown = named.or_else(first_live).or(holders.first());
        SchemaBody {
            subject: named.map(|(subject, ..)| subject.clone()),
            version: named.map(|(_, row, _)| row.version),
            max_id,
            ts: shown.map(|&(_, _, created_at_ms)| created_at_ms),
            deleted: shown.map(|(_, row, _)| row.deleted),
            ..self.body.clone()
        }
    }

    pub(super) fn is_held_by(&self, subject: &str) -> bool {
        self.holders.iter().any(|(holder, ..)| holder == subject)
    }

    /// About what it takes in memory: as an answer, and in parts.
    fn bytes(&self) -> usize {
        let holders = self.holders.iter().map(|(subject, ..)| subject.len() + 64);
        2 * self.answer.len() + holders.sum::<usize>() + 512
    }
}

fn written(body: &SchemaBody) -> Result<Bytes, RegistryError> {
    let answer = serde_json::to_vec(body).map_err(|_impossible| RegistryError::Internal)?;
    // To the byte, since that is what is counted.
    Ok(answer.into_boxed_slice().into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::decide::delete::Depth;
    use crate::service::Checks;
    use crate::store::Engine;
    use crate::{Database, Registry, RegistryConfig};

    async fn register(service: &Service, subject: &str, schema: &str) -> SchemaId {
        let request = serde_json::from_value(json!({ "schema": schema })).unwrap();
        let subject = Subject::existing(subject);
        let registered = service.register(&subject, request, false, Checks::Compatibility);
        registered.await.unwrap().id.unwrap()
    }

    async fn configure(service: &Service, subject: &str, alias: &str) {
        let request = Map::from_iter([("alias".to_owned(), json!(alias))]);
        let subject = Subject::existing(subject);
        service.put_config(Some(&subject), &request).await.unwrap();
    }

    fn is_fresh(service: &Service, id: SchemaId) -> bool {
        service.memory.known.fresh(&(".".to_owned(), id)).is_some()
    }

    // Conformance: registry/stores-6
    #[tokio::test]
    async fn an_id_is_read_again_only_after_a_version_of_it_changed() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("registry.db"));
        let registry = Registry::open(&database, RegistryConfig::default());
        let service = registry.await.unwrap().service;
        let id = register(&service, "s", "\"int\"").await;
        service.known(".", id).await.unwrap();
        assert!(is_fresh(&service, id));
        let other = register(&service, "other", "\"long\"").await;
        configure(&service, "nick", "s").await;
        assert!(is_fresh(&service, id), "nothing of it changed");

        register(&service, "t", "\"int\"").await;
        assert!(!is_fresh(&service, id), "it has one more version");
        let known = service.known(".", id).await.unwrap().unwrap();
        assert_eq!(known.holders.len(), 2);
        let deletes = [(Depth::Soft, true), (Depth::Permanent, false)];
        for (depth, is_there) in deletes {
            service.known(".", other).await.unwrap();
            let subject = Subject::existing("other");
            service.delete_subject(&subject, depth).await.unwrap();
            assert!(!is_fresh(&service, other), "{depth:?}");
            let known = service.known(".", other).await.unwrap();
            assert_eq!(known.is_some(), is_there, "{depth:?}");
        }
    }

    /// The question that serializers ask, over a database that is not there any more.
    // Conformance: registry/stores-11
    #[tokio::test]
    async fn an_id_with_its_subject_is_answered_without_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("registry.db"));
        let registry = Registry::open(&database, RegistryConfig::default());
        let service = registry.await.unwrap().service;
        let id = register(&service, "s", "\"int\"").await;
        configure(&service, "nick", "s").await;
        let ask = async || {
            let subject = service.behind_alias(Subject::existing("nick")).await?;
            let place = service.subject_of_id(id, Some(&subject)).await?;
            service.schema(id, &place, false).await
        };
        let nick = || Some(Subject::existing("nick"));
        assert_eq!(service.recall(id, nick()), None);
        let before = ask().await.unwrap();
        assert_eq!(before.subject.as_deref(), Some("s"));
        register(&service, "other", "\"long\"").await;
        let Engine::Sqlite { readers, .. } = &service.store.engine else {
            unreachable!("this test opens a file");
        };
        readers.close().await;
        assert_eq!(ask().await.unwrap(), before);
        assert!(is_fresh(&service, id), "as good as asking");
        assert!(service.memory.aliases.fresh(".").is_some());
        let recalled = service.recall(id, nick()).unwrap();
        assert_eq!(recalled, serde_json::to_vec(&before).unwrap());
        let recalled = service.recall(id, None).unwrap();
        let place = service.subject_of_id(id, None).await.unwrap();
        let unnamed = service.schema(id, &place, false).await.unwrap();
        assert_eq!(recalled, serde_json::to_vec(&unnamed).unwrap());
    }
}
