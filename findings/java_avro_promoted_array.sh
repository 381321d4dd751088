#!/bin/sh
# Shows that Apache Avro's Java library 1.12.2 rejects valid arrays whose items are promoted to a larger type.
#
#   findings/java_avro_promoted_array.sh
#
# Needs JDK 17, Maven and access to Maven Central; writes nothing outside a temporary directory. Exits 0 while avro behaves
# as described here, and 1 when it no longer does.
#
# Avro's specification promotes float to double, so that a reader with array<double> reads data of a writer with
# array<float>, and SchemaCompatibility reports COMPATIBLE. The decoder of 1.12.2 compares the number of items with the
# bytes that are left, but computes the minimum size of an item from the reader's schema instead of the writer's. So an
# array at the end of a datum fails with EOFException. 1.12.1 reads it.
set -eu

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir -p "$directory/src/main/java"
cat >"$directory/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>findings</groupId>
  <artifactId>promoted-array</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <avro.version>1.12.2</avro.version>
  </properties>
  <dependencies>
    <dependency>
      <groupId>org.apache.avro</groupId>
      <artifactId>avro</artifactId>
      <version>${avro.version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>2.0.17</version>
    </dependency>
  </dependencies>
</project>
XML
cat >"$directory/src/main/java/Read.java" <<'JAVA'
import java.io.ByteArrayOutputStream;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

public final class Read {
  public static void main(String[] arguments) throws Exception {
    Schema writer = new Schema.Parser().parse("{\"type\":\"array\",\"items\":\"float\"}");
    Schema reader = new Schema.Parser().parse("{\"type\":\"array\",\"items\":\"double\"}");
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<List<Float>>(writer).write(List.of(1.5f), encoder);
    encoder.flush();
    System.out.println(
        SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getType());
    try {
      System.out.println(
          new GenericDatumReader<>(writer, reader)
              .read(null, DecoderFactory.get().binaryDecoder(out.toByteArray(), null)));
    } catch (Exception error) {
      System.out.println(error);
    }
  }
}
JAVA

for version in 1.12.1 1.12.2; do
    echo "avro $version"
    echo "expected: COMPATIBLE, [1.5]"
    mvn --quiet --batch-mode -Dstyle.color=never -f "$directory/pom.xml" -Davro.version=$version \
        compile org.codehaus.mojo:exec-maven-plugin:3.5.1:java -Dexec.mainClass=Read | tee "$directory/output-$version"
done
if grep -q '^\[1.5\]$' "$directory/output-1.12.1" && grep -q 'EOFException' "$directory/output-1.12.2"; then
    echo "as described: 1.12.2 rejects the array that 1.12.1 reads"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
