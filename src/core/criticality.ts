/** How much a call matters (SRE book, "Handling Overload"), from the least: what matters least is refused first. */
export type Criticality = "sheddable" | "sheddable_plus" | "critical" | "critical_plus";

/** All of them, from the least. */
export const CRITICALITIES: readonly Criticality[] = ["sheddable", "sheddable_plus", "critical", "critical_plus"];

/** What a call counts as of which nobody says how much it matters. */
export const DEFAULT_CRITICALITY: Criticality = "critical";

/** The metadata by which a caller says how much its call matters, such as `sheddable`. */
export const CRITICALITY_KEY = "bowline-criticality";

/** Whether it is one of the four, in these words. */
export function isCriticality(value: unknown): value is Criticality {
  return (CRITICALITIES as readonly unknown[]).includes(value);
}

/** The one of two that matters less. */
export function lesser(one: Criticality, other: Criticality): Criticality {
  return CRITICALITIES.indexOf(one) < CRITICALITIES.indexOf(other) ? one : other;
}
