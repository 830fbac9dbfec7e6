import { errors, type JWTPayload, type JWTVerifyOptions } from 'jose';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type Principal, parseEmail, parseUserId } from '../core/user.ts';
import { VerifiedTokens } from './token-cache.ts';

/** Proves a token's signature with the keys it trusts. */
export interface KeySource {
  /** The JWS algorithms that are accepted, and no others (RFC 7518). */
  readonly algorithms: readonly string[];
  /**
   * @returns the claims of a token whose signature and registered claims hold.
   * @throws {AppError} `SERVICE_UNAVAILABLE` while no key has been fetched; jose's errors otherwise.
   */
  verify(token: string, options: JWTVerifyOptions): Promise<JWTPayload>;
  /**
   * @returns what stands for the keys trusted now, and another object once other keys are; `null` while there are none.
   *   Asks for fresh ones where that is due.
   */
  trusted(): object | null;
}

export interface TokenVerifier {
  /**
   * @param token a JWT in compact form (RFC 7519).
   * @returns whoever it proves; at once, without a promise, when the token is remembered.
   * @throws {AppError} `INVALID_TOKEN`, `TOKEN_EXPIRED` or `SERVICE_UNAVAILABLE`.
   */
  verify(token: string): Principal | Promise<Principal>;
  /** Whether tokens can be judged at all. */
  isReady(): boolean;
}

interface VerifierOptions {
  readonly keys: KeySource;
  readonly issuer: string | null;
  readonly audience: string | null;
  readonly clock: Clock;
}

const CLOCK_TOLERANCE_S = 30;
const MAX_TOKEN_LENGTH = 8_192;

function tokenError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError(error instanceof errors.JWTExpired ? 'TOKEN_EXPIRED' : 'INVALID_TOKEN', { cause: error });
}

/** The claims that jose does not judge as the contract does. @throws {AppError} `INVALID_TOKEN` */
function principalOf(claims: JWTPayload, nowMs: number): Principal {
  const userId = parseUserId(claims.sub);
  if (userId === null) throw new AppError('INVALID_TOKEN', { cause: new Error('sub is not usable') });
  if (claims.iat !== undefined && claims.iat > nowMs / 1000 + CLOCK_TOLERANCE_S) {
    throw new AppError('INVALID_TOKEN', { cause: new Error('iat is in the future') });
  }
  return { userId, email: parseEmail(claims.email) };
}

export function createTokenVerifier({ keys, issuer, audience, clock }: VerifierOptions): TokenVerifier {
  const remembered = new VerifiedTokens();
  const fixed: JWTVerifyOptions = {
    algorithms: [...keys.algorithms],
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['sub', 'exp'],
    ...(issuer === null ? {} : { issuer }),
    ...(audience === null ? {} : { audience }),
  };

  async function verifyAnew(token: string): Promise<Principal> {
    const nowMs = clock();
    const provenBy = keys.trusted(); // asked before, so that keys that change meanwhile cost a proof, not the change
    try {
      const claims = await keys.verify(token, { ...fixed, currentDate: new Date(nowMs) });
      const principal = principalOf(claims, nowMs);
      const expiresAtMs = (claims.exp ?? 0) * 1000;
      if (provenBy !== null) remembered.add(token, { principal, expiresAtMs, provenBy });
      return principal;
    } catch (error) {
      throw tokenError(error);
    }
  }

  return {
    verify: (token) => {
      if (token.length > MAX_TOKEN_LENGTH) throw new AppError('INVALID_TOKEN');
      return remembered.find(token, clock(), keys.trusted()) ?? verifyAnew(token);
    },
    isReady: () => keys.trusted() !== null,
  };
}
