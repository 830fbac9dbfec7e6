import { errors, type JWTPayload, type JWTVerifyOptions } from 'jose';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type Principal, parseEmail, parseUserId } from '../core/user.ts';
import { TurnsOfConnections } from './signature-checks.ts';
import { TokenCache, type VerifiedToken } from './token-cache.ts';

/** The keys that token signatures are verified with. */
export interface KeySource {
  /** The accepted JWS algorithms (RFC 7518). */
  readonly algorithms: readonly string[];
  /**
   * Verifies the signature and the registered claims of a JWT.
   * @throws {AppError} `SERVICE_UNAVAILABLE` without a key set younger than 24 h; jose's errors otherwise.
   */
  verify(token: string, options: JWTVerifyOptions): Promise<JWTPayload>;
  /** Identity of the current key set, `null` if there is none younger than 24 h; starts a reload when it is stale. */
  currentKeys(): object | null;
}

export interface TokenVerifier {
  /**
   * @param token a JWT in compact serialization (RFC 7519).
   * @param connection where it comes from: those of one connection are verified one after another.
   * @returns the user and the expiry; synchronously if the token is cached.
   * @throws {AppError} `INVALID_TOKEN`, `TOKEN_EXPIRED` or `SERVICE_UNAVAILABLE`.
   */
  verify(token: string, connection: object): VerifiedToken | Promise<VerifiedToken>;
  /** Whether keys are available. */
  isReady(): boolean;
}

interface VerifierOptions {
  readonly keys: KeySource;
  /** One of them must be the token's `iss`; `null`: not checked. */
  readonly issuer: readonly string[] | null;
  /** One of them must be the token's `aud`, or in it; `null`: not checked. */
  readonly audience: readonly string[] | null;
  /** The claim with the user id. */
  readonly userClaim: string;
  readonly clock: Clock;
}

const CLOCK_TOLERANCE_S = 30;
const MAX_TOKEN_LENGTH = 8_192;

/** Log reasons by jose's error code; for a failed claim the reason is the claim's name. */
const REASONS: Readonly<Record<string, string>> = {
  [errors.JOSEAlgNotAllowed.code]: 'alg',
  [errors.JOSENotSupported.code]: 'crit',
  [errors.JWKSNoMatchingKey.code]: 'kid',
  [errors.JWSSignatureVerificationFailed.code]: 'signature',
};

const invalidToken = (reason: string, cause?: unknown) => new AppError('INVALID_TOKEN', { reason, cause });

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof errors.JWTExpired) return new AppError('TOKEN_EXPIRED', { reason: 'exp', cause: error });
  if (error instanceof errors.JWTClaimValidationFailed) {
    return invalidToken(error.reason === 'missing' ? `${error.claim} missing` : error.claim, error);
  }
  return invalidToken((error instanceof errors.JOSEError && REASONS[error.code]) || 'malformed', error);
}

/** Whether the signature is the base64url text of its bytes (RFC 7515, section 2; RFC 4648, 3.5). */
function isCanonical(token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1);
  return Buffer.from(signature, 'base64url').toString('base64url') === signature;
}

/** Validates the claims that jose does not check as the contract requires. @throws {AppError} `INVALID_TOKEN` */
function toPrincipal(claims: JWTPayload, userClaim: string, nowMs: number): Principal {
  const userId = parseUserId(claims[userClaim]);
  if (userId === null) throw invalidToken(userClaim);
  if (claims.iat !== undefined && claims.iat > nowMs / 1000 + CLOCK_TOLERANCE_S) throw invalidToken('iat');
  return { userId, email: parseEmail(claims.email) };
}

export function createTokenVerifier({ keys, issuer, audience, userClaim, clock }: VerifierOptions): TokenVerifier {
  const cache = new TokenCache();
  const turns = new TurnsOfConnections();
  const verifying = new Map<string, Promise<VerifiedToken>>();
  const options: JWTVerifyOptions = {
    algorithms: [...keys.algorithms],
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: [userClaim, 'exp'],
    ...(issuer === null ? {} : { issuer: [...issuer] }),
    ...(audience === null ? {} : { audience: [...audience] }),
  };

  async function verifyUncached(token: string): Promise<VerifiedToken> {
    if (!isCanonical(token)) throw invalidToken('malformed');
    const nowMs = clock();
    // Read before verifying: if the keys change meanwhile, the entry is stale instead of cached under the new keys.
    const verifiedWith = keys.currentKeys();
    try {
      const claims = await keys.verify(token, { ...options, currentDate: new Date(nowMs) });
      const principal = toPrincipal(claims, userClaim, nowMs);
      const expiresAtMs = (claims.exp ?? 0) * 1000;
      if (verifiedWith !== null) cache.set(token, { principal, expiresAtMs, keys: verifiedWith });
      return { principal, expiresAtMs };
    } catch (error) {
      throw toAppError(error);
    }
  }

  /** Requests with one token at the same time share the verification. */
  function verifyInTurn(token: string, connection: object): Promise<VerifiedToken> {
    const shared = verifying.get(token);
    if (shared !== undefined) return shared;
    const verified = turns.run(connection, () => verifyUncached(token)).finally(() => verifying.delete(token));
    verifying.set(token, verified);
    return verified;
  }

  return {
    verify: (token, connection) => {
      if (token.length > MAX_TOKEN_LENGTH) throw invalidToken('length');
      return cache.get(token, clock(), keys.currentKeys()) ?? verifyInTurn(token, connection);
    },
    isReady: () => keys.currentKeys() !== null,
  };
}
