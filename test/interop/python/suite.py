"""The suite's service for grpcio, from the descriptors that buf compiles."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "grpc.testing.TestService"
ECHO_HEADER = "x-grpc-test-echo-initial"
ECHO_TRAILER = "x-grpc-test-echo-trailing-bin"


class Suite:
    """The service's methods, each with the types of its messages."""

    def __init__(self, image):
        pool = descriptor_pool.DescriptorPool()
        with open(image, "rb") as file:
            for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
                pool.AddSerializedFile(proto.SerializeToString())
        self._methods = pool.FindServiceByName(SERVICE).methods_by_name

    def request(self, method):
        return message_factory.GetMessageClass(self._methods[method].input_type)

    def response(self, method):
        return message_factory.GetMessageClass(self._methods[method].output_type)
