import com.google.protobuf.Any;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.rpc.BadRequest;
import com.google.rpc.Status;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/** Executes one case of the smoke run against a server: SmokeClient image port case. Ends with 0 if it passes. */
final class SmokeClient {
  private final Suite suite;
  private final Channel channel;

  private SmokeClient(Suite suite, Channel channel) {
    this.suite = suite;
    this.channel = channel;
  }

  public static void main(String[] args) throws Exception {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("127.0.0.1", Integer.parseInt(args[1])).usePlaintext().build();
    try {
      new SmokeClient(new Suite(args[0]), channel).run(args[2]);
    } finally {
      channel.shutdownNow();
    }
  }

  private void run(String name) throws Exception {
    switch (name) {
      case "unary" -> expect(Suite.sizeOf(call(channel, request("response_size", 314_159))), 314_159);
      case "server_stream" -> serverStream();
      case "deadline" -> deadline();
      case "cancel" -> cancel();
      case "metadata" -> metadata();
      case "rich_error" -> richError();
      default -> throw new IllegalArgumentException(name);
    }
  }

  private void serverStream() {
    List<Integer> sizes = new ArrayList<>();
    stream(responses(0, 31_415, 9, 2_653), 10_000).forEachRemaining(answer -> sizes.add(Suite.sizeOf(answer)));
    expect(sizes, List.of(31_415, 9, 2_653));
  }

  private void deadline() {
    AtomicReference<Metadata> trailers = new AtomicReference<>();
    call(capturing(new AtomicReference<>(), trailers), request());
    long remaining = Long.parseLong(trailers.get().get(Suite.REMAINING));
    expect(remaining > 0 && remaining <= 10_000, true);
    StatusRuntimeException late = failure(() -> stream(responses(10_000_000, 1), 1_000).next());
    expect(late.getStatus().getCode(), io.grpc.Status.Code.DEADLINE_EXCEEDED);
  }

  private void cancel() {
    Context.CancellableContext context = Context.current().withCancellation();
    context.run(
        () -> {
          int[] sizes = new int[100];
          Arrays.fill(sizes, 1);
          Iterator<DynamicMessage> answers = stream(responses(50_000, sizes), 10_000);
          expect(Suite.sizeOf(answers.next()), 1);
          context.cancel(null);
          StatusRuntimeException left = failure(() -> answers.forEachRemaining(answer -> {}));
          expect(left.getStatus().getCode(), io.grpc.Status.Code.CANCELLED);
        });
  }

  private void metadata() {
    byte[] bytes = {(byte) 0xab, 0, (byte) 0xff};
    Metadata sent = new Metadata();
    sent.put(Suite.ECHO_HEADER, "hello");
    sent.put(Suite.ECHO_TRAILER, bytes);
    AtomicReference<Metadata> headers = new AtomicReference<>();
    AtomicReference<Metadata> trailers = new AtomicReference<>();
    Channel sending =
        ClientInterceptors.intercept(
            capturing(headers, trailers), MetadataUtils.newAttachHeadersInterceptor(sent));
    call(sending, request());
    expect(headers.get().get(Suite.ECHO_HEADER), "hello");
    expect(Arrays.equals(trailers.get().get(Suite.ECHO_TRAILER), bytes), true);
  }

  private void richError() throws Exception {
    Descriptor wanted = suite.request("UnaryCall").findFieldByName("response_status").getMessageType();
    DynamicMessage.Builder status = DynamicMessage.newBuilder(wanted);
    status.setField(wanted.findFieldByName("code"), 3).setField(wanted.findFieldByName("message"), "no ☺");
    StatusRuntimeException error = failure(() -> call(channel, request("response_status", status.build())));
    expect(error.getStatus().getCode(), io.grpc.Status.Code.INVALID_ARGUMENT);
    expect(error.getStatus().getDescription(), "no ☺");
    Status rich = StatusProto.fromThrowable(error);
    expect(rich.getDetailsList().stream().map(Any::getTypeUrl).toList(), List.of("type.googleapis.com/google.rpc.BadRequest"));
    expect(rich.getDetails(0).unpack(BadRequest.class), Suite.BAD_REQUEST);
  }

  private DynamicMessage request() {
    return DynamicMessage.getDefaultInstance(suite.request("UnaryCall"));
  }

  private DynamicMessage request(String field, Object value) {
    return Suite.with(suite.request("UnaryCall"), field, value);
  }

  private DynamicMessage responses(int intervalUs, int... sizes) {
    Descriptor type = suite.request("StreamingOutputCall");
    FieldDescriptor parameters = type.findFieldByName("response_parameters");
    DynamicMessage.Builder request = DynamicMessage.newBuilder(type);
    for (int size : sizes) {
      DynamicMessage.Builder one = DynamicMessage.newBuilder(parameters.getMessageType());
      one.setField(parameters.getMessageType().findFieldByName("size"), size);
      one.setField(parameters.getMessageType().findFieldByName("interval_us"), intervalUs);
      request.addRepeatedField(parameters, one.build());
    }
    return request.build();
  }

  private DynamicMessage call(Channel over, DynamicMessage request) {
    return ClientCalls.blockingUnaryCall(over, suite.method("UnaryCall", MethodType.UNARY), within(10_000), request);
  }

  private Iterator<DynamicMessage> stream(DynamicMessage request, long timeoutMs) {
    return ClientCalls.blockingServerStreamingCall(
        channel, suite.method("StreamingOutputCall", MethodType.SERVER_STREAMING), within(timeoutMs), request);
  }

  private Channel capturing(AtomicReference<Metadata> headers, AtomicReference<Metadata> trailers) {
    return ClientInterceptors.intercept(channel, MetadataUtils.newCaptureMetadataInterceptor(headers, trailers));
  }

  private static CallOptions within(long timeoutMs) {
    return CallOptions.DEFAULT.withDeadlineAfter(timeoutMs, TimeUnit.MILLISECONDS);
  }

  private static StatusRuntimeException failure(Runnable work) {
    try {
      work.run();
    } catch (StatusRuntimeException error) {
      return error;
    }
    throw new AssertionError("the call succeeded");
  }

  private static void expect(Object actual, Object wanted) {
    if (!actual.equals(wanted)) throw new AssertionError("got " + actual + ", wanted " + wanted);
  }
}
