import type { Contract } from "../../contract/contract.ts";
import { toMethod } from "../../contract/definition.ts";
import type { ServerLayer } from "../../core/served-call.ts";

/** Notes of calls of methods that resume that their handlers were opened, which may stand and be quiet (rule S5). */
export function standingLayer({ definition, methods }: Contract): ServerLayer {
  const resuming = Object.entries(definition.methods).filter(([key]) => methods[key]?.resume);
  const paths = new Set(resuming.map(([, one]) => toMethod(definition, one).path));
  return {
    unary: (next) => next,
    stream: (next, { path }) => {
      if (!paths.has(path)) return next;
      return (request, context) => {
        context.standing = true;
        return next(request, context);
      };
    },
  };
}
