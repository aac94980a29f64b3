/** What a message counts besides its bytes, so that empty ones are bounded too: about what Node keeps for each. */
const MESSAGE_OVERHEAD_BYTES = 256;

/** What a message counts where messages wait and are bounded, in bytes. */
export function messageSize(message: Uint8Array): number {
  return message.byteLength + MESSAGE_OVERHEAD_BYTES;
}
