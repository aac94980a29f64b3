import { Channel } from "@grpc/grpc-js";
import { expect, onTestFinished, test, vi } from "vitest";
import { channelOptions, warnOfTwoCopies } from "../../../src/transport/channel.ts";

const target = "dns:///orders.example:50051";

test("what a channel is opened with unless something else is said", () => {
  expect(channelOptions(target, {}, {})).toEqual({
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.min_reconnect_backoff_ms": 5_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
    "grpc.max_receive_message_length": 4_194_304,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_channelz": 0,
    "grpc-node.flow_control_window": 1_048_576,
  });
});

test("each option has its argument", () => {
  const given = {
    keepaliveTimeMs: 1,
    keepaliveTimeoutMs: 2,
    connectTimeoutMs: 3,
    initialReconnectBackoffMs: 4,
    maxReconnectBackoffMs: 5,
    maxReceiveMessageBytes: 6,
  };
  expect(channelOptions(target, {}, given)).toMatchObject({
    "grpc.keepalive_time_ms": 1,
    "grpc.keepalive_timeout_ms": 2,
    "grpc.min_reconnect_backoff_ms": 3,
    "grpc.initial_reconnect_backoff_ms": 4,
    "grpc.max_reconnect_backoff_ms": 5,
    "grpc.max_receive_message_length": 6,
  });
});

test.each([3e9, Number.POSITIVE_INFINITY])("%d ms become the longest time that a timer of Node's takes", (ms) => {
  const given = {
    keepaliveTimeMs: ms,
    keepaliveTimeoutMs: ms,
    connectTimeoutMs: ms,
    initialReconnectBackoffMs: ms,
    maxReconnectBackoffMs: ms,
  };
  expect(channelOptions(target, {}, given)).toMatchObject({
    "grpc.keepalive_time_ms": 2_147_483_647,
    "grpc.keepalive_timeout_ms": 2_147_483_647,
    "grpc.min_reconnect_backoff_ms": 2_147_483_647,
    "grpc.initial_reconnect_backoff_ms": 2_147_483_647,
    "grpc.max_reconnect_backoff_ms": 2_147_483_647,
  });
});

test("policies out of DNS are off, whatever the target", () => {
  for (const name of [target, "orders.example", "localhost:50051"]) {
    expect(channelOptions(name, undefined, {})).toHaveProperty(["grpc.service_config_disable_resolution"], 1);
  }
});

test("no proxy of the environment takes what goes to this machine", () => {
  expect(channelOptions("localhost:50051", undefined, {})).toHaveProperty(["grpc.enable_http_proxy"], 0);
  expect(channelOptions(target, undefined, {})).not.toHaveProperty(["grpc.enable_http_proxy"]);
});

test("the certificate's name is the call's authority too", () => {
  expect(channelOptions(target, { serverName: "orders.internal" }, {})).toMatchObject({
    "grpc.ssl_target_name_override": "orders.internal",
    "grpc.default_authority": "orders.internal",
  });
});

test("further arguments win", () => {
  const given = { channelOptions: { "grpc.keepalive_time_ms": 7, "grpc.primary_user_agent": "shop" } };
  expect(channelOptions(target, undefined, given)).toMatchObject(given.channelOptions);
});

test("a second copy of grpc-js is told of, with what to do", () => {
  const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => emitWarning.mockRestore());
  warnOfTwoCopies(Channel);
  expect(emitWarning).not.toHaveBeenCalled();
  warnOfTwoCopies(class {});
  expect(emitWarning).toHaveBeenCalledExactlyOnceWith(
    "bowline: nice-grpc has a copy of @grpc/grpc-js of its own, so connectTimeoutMs has no effect: a server that " +
      "accepts and says nothing is waited for without end. Have one copy: npm dedupe, or an override of " +
      "@grpc/grpc-js in package.json; npm ls @grpc/grpc-js shows who asks for which",
  );
});
