/** What one would write without operators: an async generator that does the same. */

export async function* map<In, Out>(source: AsyncIterable<In>, transform: (message: In) => Out) {
  for await (const message of source) yield transform(message);
}

export async function* filter<Message>(source: AsyncIterable<Message>, isWanted: (message: Message) => boolean) {
  for await (const message of source) if (isWanted(message)) yield message;
}

export async function* take<Message>(source: AsyncIterable<Message>, count: number) {
  let left = count;
  for await (const message of source) {
    yield message;
    left -= 1;
    if (left === 0) return;
  }
}

export async function* tap<Message>(source: AsyncIterable<Message>, look: (message: Message) => void) {
  for await (const message of source) {
    look(message);
    yield message;
  }
}

/** By size alone: it cannot hand over what is there while it waits for more. */
export async function* batch<Message>(source: AsyncIterable<Message>, maxSize: number) {
  let held: Message[] = [];
  for await (const message of source) {
    held.push(message);
    if (held.length < maxSize) continue;
    yield held;
    held = [];
  }
  if (held.length > 0) yield held;
}

/** Whichever of them has its message first; the first of those that have, which starves the others. */
export async function* merge<Message>(sources: readonly AsyncIterable<Message>[]) {
  const reading = new Map<AsyncIterator<Message>, Promise<Read<Message>>>();
  for (const source of sources) readOn(source[Symbol.asyncIterator](), reading);
  while (reading.size > 0) {
    const { iterator, result } = await Promise.race(reading.values());
    reading.delete(iterator);
    if (result.done) continue;
    yield result.value;
    readOn(iterator, reading);
  }
}

interface Read<Message> {
  readonly iterator: AsyncIterator<Message>;
  readonly result: IteratorResult<Message>;
}

function readOn<Message>(iterator: AsyncIterator<Message>, reading: Map<unknown, Promise<Read<Message>>>): void {
  const read = iterator.next().then((result) => ({ iterator, result }));
  reading.set(iterator, read);
}

export async function* mapConcurrent<In, Out>(
  source: AsyncIterable<In>,
  concurrency: number,
  transform: (message: In) => Promise<Out>,
) {
  const working: Promise<Out>[] = [];
  for await (const message of source) {
    working.push(transform(message));
    const first = working.length === concurrency ? working.shift() : undefined;
    if (first) yield await first;
  }
  for (const result of working) yield await result;
}

/** A timer and a race for each message. */
export async function* timeoutBetween<Message>(source: AsyncIterable<Message>, timeoutMs: number) {
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const expired = Promise.withResolvers<never>();
    const timer = setTimeout(() => expired.reject(new Error("no message came")), timeoutMs);
    try {
      const result = await Promise.race([iterator.next(), expired.promise]);
      if (result.done) return;
      yield result.value;
    } finally {
      clearTimeout(timer);
    }
  }
}
