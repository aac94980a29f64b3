import { bowline } from "./bowline.ts";
import { middleware } from "./middleware.ts";
import { nice } from "./nice.ts";
import { raw } from "./raw.ts";
import type { Stack } from "./stack.ts";

/** The stacks that are measured against each other. */
export const stacks: Readonly<Record<StackName, Stack>> = { nice, raw, bowline, middleware };

/** The name of a stack. */
export type StackName = "nice" | "raw" | "bowline" | "middleware";
