import com.google.protobuf.Any;
import com.google.protobuf.DynamicMessage;
import com.google.rpc.Status;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Serves what the smoke run calls: SmokeServer image port. */
final class SmokeServer {
  private final Suite suite;
  private final AtomicInteger cancelled = new AtomicInteger();

  private SmokeServer(Suite suite) {
    this.suite = suite;
  }

  public static void main(String[] args) throws Exception {
    SmokeServer service = new SmokeServer(new Suite(args[0]));
    NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[1])))
        .addService(service.definition())
        .intercept(service.new Trailers())
        .build()
        .start()
        .awaitTermination();
  }

  private ServerServiceDefinition definition() {
    return ServerServiceDefinition.builder(suite.name())
        .addMethod(suite.method("UnaryCall", MethodType.UNARY), ServerCalls.asyncUnaryCall(this::unaryCall))
        .addMethod(
            suite.method("StreamingOutputCall", MethodType.SERVER_STREAMING),
            ServerCalls.asyncServerStreamingCall(this::streamingOutputCall))
        .build();
  }

  private void unaryCall(DynamicMessage request, StreamObserver<DynamicMessage> answers) {
    DynamicMessage asked = (DynamicMessage) Suite.get(request, "response_status");
    int code = (int) Suite.get(asked, "code");
    if (code != 0) {
      String message = (String) Suite.get(asked, "message");
      Any detail = Any.pack(Suite.BAD_REQUEST);
      Status status = Status.newBuilder().setCode(code).setMessage(message).addDetails(detail).build();
      answers.onError(StatusProto.toStatusRuntimeException(status));
      return;
    }
    answers.onNext(suite.answer("UnaryCall", (int) Suite.get(request, "response_size")));
    answers.onCompleted();
  }

  private void streamingOutputCall(DynamicMessage request, StreamObserver<DynamicMessage> answers) {
    ServerCallStreamObserver<DynamicMessage> call = (ServerCallStreamObserver<DynamicMessage>) answers;
    for (Object parameters : (List<?>) Suite.get(request, "response_parameters")) {
      sleep((int) Suite.get((DynamicMessage) parameters, "interval_us"));
      if (call.isCancelled()) {
        cancelled.incrementAndGet();
        return;
      }
      answers.onNext(suite.answer("StreamingOutputCall", (int) Suite.get((DynamicMessage) parameters, "size")));
    }
    answers.onCompleted();
  }

  private static void sleep(int micros) {
    try {
      TimeUnit.MICROSECONDS.sleep(micros);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Echoes metadata, and says what the server knows of the call in its trailers. */
  private final class Trailers implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata sent, ServerCallHandler<Q, A> next) {
      return next.startCall(
          new SimpleForwardingServerCall<Q, A>(call) {
            @Override
            public void sendHeaders(Metadata headers) {
              copy(Suite.ECHO_HEADER, sent, headers);
              super.sendHeaders(headers);
            }

            @Override
            public void close(io.grpc.Status status, Metadata trailers) {
              copy(Suite.ECHO_TRAILER, sent, trailers);
              Deadline deadline = Context.current().getDeadline();
              long remaining = deadline == null ? 0 : deadline.timeRemaining(TimeUnit.MILLISECONDS);
              trailers.put(Suite.REMAINING, Long.toString(remaining));
              trailers.put(Suite.CANCELLED, Integer.toString(cancelled.get()));
              super.close(status, trailers);
            }
          },
          sent);
    }
  }

  private static <T> void copy(Metadata.Key<T> key, Metadata from, Metadata to) {
    if (from.containsKey(key)) to.put(key, from.get(key));
  }
}
