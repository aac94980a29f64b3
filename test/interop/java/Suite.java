import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.ServiceDescriptor;
import com.google.protobuf.ByteString;
import com.google.protobuf.DynamicMessage;
import com.google.rpc.BadRequest;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.protobuf.ProtoUtils;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** The suite's service for grpc-java, from the descriptors that buf compiles. */
final class Suite {
  static final Metadata.Key<String> ECHO_HEADER = text("x-grpc-test-echo-initial");
  static final Metadata.Key<byte[]> ECHO_TRAILER =
      Metadata.Key.of("x-grpc-test-echo-trailing-bin", Metadata.BINARY_BYTE_MARSHALLER);
  static final Metadata.Key<String> REMAINING = text("x-remaining-ms");
  static final Metadata.Key<String> CANCELLED = text("x-cancelled");

  /** What went wrong with a request, as both sides of a smoke run say it. */
  static final BadRequest BAD_REQUEST =
      BadRequest.newBuilder()
          .addFieldViolations(
              BadRequest.FieldViolation.newBuilder()
                  .setField("response_status.code")
                  .setDescription("asks for a refusal"))
          .build();

  private final ServiceDescriptor service;

  Suite(String image) throws Exception {
    Map<String, FileDescriptor> files = new HashMap<>();
    for (FileDescriptorProto file : FileDescriptorSet.parseFrom(Files.readAllBytes(Path.of(image))).getFileList()) {
      FileDescriptor[] imports = file.getDependencyList().stream().map(files::get).toArray(FileDescriptor[]::new);
      files.put(file.getName(), FileDescriptor.buildFrom(file, imports));
    }
    service = files.get("grpc/testing/test.proto").findServiceByName("TestService");
  }

  MethodDescriptor<DynamicMessage, DynamicMessage> method(String name, MethodType type) {
    return MethodDescriptor.<DynamicMessage, DynamicMessage>newBuilder()
        .setType(type)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(service.getFullName(), name))
        .setRequestMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(request(name))))
        .setResponseMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(response(name))))
        .build();
  }

  String name() {
    return service.getFullName();
  }

  Descriptor request(String method) {
    return service.findMethodByName(method).getInputType();
  }

  Descriptor response(String method) {
    return service.findMethodByName(method).getOutputType();
  }

  /** An answer with a payload of so many zeros. */
  DynamicMessage answer(String method, int size) {
    FieldDescriptor payload = response(method).findFieldByName("payload");
    DynamicMessage zeros = with(payload.getMessageType(), "body", ByteString.copyFrom(new byte[size]));
    return with(response(method), "payload", zeros);
  }

  static DynamicMessage with(Descriptor type, String field, Object value) {
    return DynamicMessage.newBuilder(type).setField(type.findFieldByName(field), value).build();
  }

  static Object get(DynamicMessage message, String field) {
    return message.getField(message.getDescriptorForType().findFieldByName(field));
  }

  static int sizeOf(DynamicMessage answer) {
    return ((ByteString) get((DynamicMessage) get(answer, "payload"), "body")).size();
  }

  private static Metadata.Key<String> text(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
