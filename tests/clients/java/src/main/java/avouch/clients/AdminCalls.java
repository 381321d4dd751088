package avouch.clients;

import java.lang.reflect.Method;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListStreamsGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RaftVoterEndpoint;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringSerializer;

/** Calls every method of Kafka's Admin client once. For each it emits an {@code output} event with the
 * {@code name} and the {@code outcome}: a short form of the result, or the name of the exception. At
 * the end it emits the methods that were not called. */
final class AdminCalls {
    private static final String TOPIC = "t";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    private static final byte[] TOKEN = {1};

    private final String bootstrap;
    private final Admin admin;
    private final Set<String> missing = new TreeSet<>();

    private AdminCalls(String bootstrap, Admin admin) {
        this.bootstrap = bootstrap;
        this.admin = admin;
        for (Method method : Admin.class.getMethods()) {
            missing.add(method.getName());
        }
        // Construction, and functions without a request.
        missing.removeAll(
                Set.of(
                        "create",
                        "close",
                        "metrics",
                        "registerMetricForSubscription",
                        "unregisterMetricFromSubscription"));
    }

    static void run(Arguments args) {
        Map<String, Object> config =
                Map.of(
                        "bootstrap.servers",
                        args.text("bootstrap"),
                        "default.api.timeout.ms",
                        20000,
                        "request.timeout.ms",
                        10000);
        try (Admin admin = Admin.create(config)) {
            AdminCalls calls = new AdminCalls(args.text("bootstrap"), admin);
            calls.topics();
            calls.cluster();
            calls.groups();
            calls.security();
            calls.transactions();
            calls.deletions();
            new Event("output").with("name", "not called").with("outcome", String.join(" ", calls.missing)).emit();
        }
    }

    private void topics() {
        call(
                "createTopics",
                () ->
                        done(admin.createTopics(List.of(new NewTopic(TOPIC, 1, (short) 1))).all()));
        call("listTopics", () -> get(admin.listTopics().names()));
        call("describeTopics", this::describeTopicsByNameAndId);
        call(
                "createPartitions",
                () ->
                        done(
                                admin.createPartitions(
                                        Map.of(TOPIC, NewPartitions.increaseTo(2))).all()));
        call("describeConfigs", this::describeConfigs);
        call("incrementalAlterConfigs", this::alterConfig);
        call("listConfigResources", () -> get(admin.listConfigResources().all()).size());
        call("listClientMetricsResources", () -> get(admin.listClientMetricsResources().all()));
        call(
                "listOffsets",
                () ->
                        get(
                                admin.listOffsets(
                                        Map.of(PARTITION, OffsetSpec.latest())).all()).get(PARTITION).offset());
        call(
                "describeProducers",
                () ->
                        get(
                                admin.describeProducers(
                                        List.of(PARTITION)).all()).get(PARTITION).activeProducers());
    }

    private void cluster() {
        call("describeCluster", () -> get(admin.describeCluster().nodes()).size());
        call(
                "describeFeatures",
                () ->
                        get(
                                admin.describeFeatures(
                                        ).featureMetadata()).finalizedFeatures().keySet());
        call("updateFeatures", this::updateFeature);
        call(
                "describeMetadataQuorum",
                () -> get(admin.describeMetadataQuorum().quorumInfo()).voters().size());
        call("unregisterBroker", () -> done(admin.unregisterBroker(9).all()));
        Set<RaftVoterEndpoint> endpoints = Set.of(new RaftVoterEndpoint("CONTROLLER", "localhost", 9));
        call("addRaftVoter", () -> done(admin.addRaftVoter(9, Uuid.randomUuid(), endpoints).all()));
        call("removeRaftVoter", () -> done(admin.removeRaftVoter(9, Uuid.randomUuid()).all()));
        call(
                "describeLogDirs",
                () -> get(admin.describeLogDirs(List.of(1)).allDescriptions()).get(1).size());
        TopicPartitionReplica replica = new TopicPartitionReplica(TOPIC, 0, 1);
        call(
                "describeReplicaLogDirs",
                () -> get(admin.describeReplicaLogDirs(List.of(replica)).all()).size());
        call(
                "alterReplicaLogDirs",
                () -> done(admin.alterReplicaLogDirs(Map.of(replica, "/elsewhere")).all()));
        call(
                "electLeaders",
                () ->
                        get(
                                admin.electLeaders(
                                        ElectionType.PREFERRED, Set.of(PARTITION)).partitions()).get(PARTITION).map(error -> error.getClass().getSimpleName()));
        Optional<NewPartitionReassignment> here = Optional.of(new NewPartitionReassignment(List.of(1)));
        call(
                "alterPartitionReassignments",
                () -> done(admin.alterPartitionReassignments(Map.of(PARTITION, here)).all()));
        call(
                "listPartitionReassignments",
                () -> get(admin.listPartitionReassignments().reassignments()).size());
        call(
                "describeClientQuotas",
                () -> get(admin.describeClientQuotas(ClientQuotaFilter.all()).entities()));
        call("alterClientQuotas", this::alterQuota);
        call("clientInstanceId", () -> admin.clientInstanceId(Duration.ofSeconds(5)));
    }

    private void groups() {
        Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(PARTITION, new OffsetAndMetadata(0));
        call(
                "alterConsumerGroupOffsets",
                () -> done(admin.alterConsumerGroupOffsets("g", offsets).all()));
        call("listGroups", () -> get(admin.listGroups().all()).size());
        call("listConsumerGroups", () -> get(admin.listConsumerGroups().all()).size());
        call(
                "describeConsumerGroups",
                () ->
                        get(
                                admin.describeConsumerGroups(
                                        List.of("g")).all()).get("g").groupState());
        call(
                "describeClassicGroups",
                () -> get(admin.describeClassicGroups(List.of("g")).all()).get("g").state());
        call(
                "listConsumerGroupOffsets",
                () ->
                        get(
                                admin.listConsumerGroupOffsets(
                                        "g").partitionsToOffsetAndMetadata()).size());
        call(
                "removeMembersFromConsumerGroup",
                () ->
                        done(
                                admin.removeMembersFromConsumerGroup(
                                        "g", new RemoveMembersFromConsumerGroupOptions()).all()));
        call(
                "deleteConsumerGroupOffsets",
                () -> done(admin.deleteConsumerGroupOffsets("g", Set.of(PARTITION)).all()));
        call("deleteConsumerGroups", () -> done(admin.deleteConsumerGroups(List.of("g")).all()));
        call(
                "describeShareGroups",
                () -> get(admin.describeShareGroups(List.of("s")).all()).size());
        call(
                "alterShareGroupOffsets",
                () -> done(admin.alterShareGroupOffsets("s", Map.of(PARTITION, 0L)).all()));
        call(
                "listShareGroupOffsets",
                () ->
                        get(
                                admin.listShareGroupOffsets(
                                        Map.of("s", new ListShareGroupOffsetsSpec())).all()).size());
        call(
                "deleteShareGroupOffsets",
                () -> done(admin.deleteShareGroupOffsets("s", Set.of(TOPIC)).all()));
        call("deleteShareGroups", () -> done(admin.deleteShareGroups(List.of("s")).all()));
        call(
                "describeStreamsGroups",
                () -> get(admin.describeStreamsGroups(List.of("s")).all()).size());
        call(
                "alterStreamsGroupOffsets",
                () -> done(admin.alterStreamsGroupOffsets("st", offsets).all()));
        call(
                "listStreamsGroupOffsets",
                () ->
                        get(
                                admin.listStreamsGroupOffsets(
                                        Map.of("st", new ListStreamsGroupOffsetsSpec())).all()).size());
        call(
                "deleteStreamsGroupOffsets",
                () -> done(admin.deleteStreamsGroupOffsets("st", Set.of(PARTITION)).all()));
        call("deleteStreamsGroups", () -> done(admin.deleteStreamsGroups(List.of("st")).all()));
    }

    private void security() {
        AclBinding acl = new AclBinding(
                new ResourcePattern(ResourceType.TOPIC, TOPIC, PatternType.LITERAL),
                new AccessControlEntry("User:a", "*", AclOperation.READ, AclPermissionType.ALLOW));
        call("describeAcls", () -> get(admin.describeAcls(AclBindingFilter.ANY).values()));
        call("createAcls", () -> done(admin.createAcls(List.of(acl)).all()));
        call("deleteAcls", () -> get(admin.deleteAcls(List.of(AclBindingFilter.ANY)).all()));
        call("describeUserScramCredentials", () -> get(admin.describeUserScramCredentials().all()));
        ScramCredentialInfo scram = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096);
        call(
                "alterUserScramCredentials",
                () ->
                        done(
                                admin.alterUserScramCredentials(
                                        List.of(new UserScramCredentialUpsertion("a", scram, "secret"))).all()));
        call("createDelegationToken", () -> get(admin.createDelegationToken().delegationToken()));
        call(
                "renewDelegationToken",
                () -> get(admin.renewDelegationToken(TOKEN).expiryTimestamp()));
        call(
                "expireDelegationToken",
                () -> get(admin.expireDelegationToken(TOKEN).expiryTimestamp()));
        call(
                "describeDelegationToken",
                () -> get(admin.describeDelegationToken().delegationTokens()));
    }

    private void transactions() {
        call("listTransactions", () -> get(admin.listTransactions().all()));
        call("describeTransactions", () -> get(admin.describeTransactions(List.of("x")).all()));
        call(
                "abortTransaction",
                () ->
                        done(
                                admin.abortTransaction(
                                        new AbortTransactionSpec(PARTITION, 1, (short) 0, 0)).all()));
        call("fenceProducers", () -> done(admin.fenceProducers(List.of("x")).all()));
        call(
                "forceTerminateTransaction",
                () -> done(admin.forceTerminateTransaction("x").result()));
        call("KafkaProducer.initTransactions", this::initTransactions);
    }

    private void deletions() {
        call(
                "deleteRecords",
                () ->
                        get(
                                admin.deleteRecords(
                                        Map.of(PARTITION, RecordsToDelete.beforeOffset(0))).lowWatermarks().get(PARTITION)).lowWatermark());
        call("deleteTopics", () -> done(admin.deleteTopics(List.of(TOPIC)).all()));
    }

    private Object describeTopicsByNameAndId() throws Exception {
        Uuid id = get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC).topicId();
        return get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds()).get(id).name();
    }

    private Object describeConfigs() throws Exception {
        List<ConfigResource> resources =
                List.of(
                        new ConfigResource(ConfigResource.Type.TOPIC, TOPIC),
                        new ConfigResource(ConfigResource.Type.BROKER, "1"),
                        new ConfigResource(ConfigResource.Type.BROKER_LOGGER, "1"),
                        new ConfigResource(ConfigResource.Type.GROUP, "g"),
                        new ConfigResource(ConfigResource.Type.CLIENT_METRICS, "m"));
        return get(admin.describeConfigs(resources).all()).size();
    }

    private Object alterConfig() throws Exception {
        ConfigEntry entry = new ConfigEntry("retention.ms", "60000");
        AlterConfigOp change = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        return done(admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all());
    }

    private Object alterQuota() throws Exception {
        ClientQuotaEntity user = new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, "a"));
        ClientQuotaAlteration.Op rate = new ClientQuotaAlteration.Op("producer_byte_rate", 1.0);
        return done(admin.alterClientQuotas(List.of(new ClientQuotaAlteration(user, List.of(rate)))).all());
    }

    private Object updateFeature() throws Exception {
        FeatureUpdate update = new FeatureUpdate((short) 2, FeatureUpdate.UpgradeType.UPGRADE);
        return done(admin.updateFeatures(Map.of("transaction.version", update), new UpdateFeaturesOptions()).all());
    }

    private Object initTransactions() {
        Map<String, Object> config =
                Map.of("bootstrap.servers", bootstrap, "transactional.id", "x", "max.block.ms", 20000);
        StringSerializer serializer = new StringSerializer();
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(config, serializer, serializer)) {
            producer.initTransactions();
        }
        return "done";
    }

    private void call(String name, Callable<Object> call) {
        missing.remove(name);
        String outcome;
        try {
            outcome = String.valueOf(call.call());
        } catch (ExecutionException failed) {
            outcome = failed.getCause().getClass().getSimpleName();
        } catch (Exception failed) {
            outcome = failed.getClass().getSimpleName();
        }
        new Event("output").with("name", name).with("outcome", outcome).emit();
    }

    private static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get();
    }

    private static Object done(KafkaFuture<?> future) throws Exception {
        future.get();
        return "done";
    }
}
