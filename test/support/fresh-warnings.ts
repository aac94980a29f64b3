import { beforeEach } from "vitest";
import { rareWarnings } from "../../src/core/warning.ts";

// Test files share a process, in which a warning that one of them caused is not told again for a while.
beforeEach(() => rareWarnings.clear());
