/** Returns the time in milliseconds since the Unix epoch. */
export type Clock = () => number;

export const systemClock: Clock = Date.now;
