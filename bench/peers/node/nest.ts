import 'reflect-metadata';
import { createSecretKey } from 'node:crypto';
import {
  BadRequestException,
  Body,
  type CanActivate,
  Controller,
  createParamDecorator,
  type ExecutionContext,
  Get,
  HttpCode,
  Injectable,
  Module,
  NotFoundException,
  Param,
  ParseUUIDPipe,
  Post,
  Put,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { and, desc, eq, not } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import jwt from 'jsonwebtoken';
import type { ZodType } from 'zod';
import { NewTask, TaskChange, tasks } from './tasks-table.ts';

const { JWT_SECRET = '', DATABASE_URL = '', PORT = '8000' } = process.env;
const db = drizzle(DATABASE_URL);
/** Given the text instead, jsonwebtoken takes forty times as long: it tries to read it as a public key first. */
const secret = createSecretKey(JWT_SECRET, 'utf8');

@Injectable()
class JwtGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest();
    try {
      const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
      request.userId = jwt.verify(token, secret, { algorithms: ['HS256'] }).sub;
      return true;
    } catch {
      throw new UnauthorizedException();
    }
  }
}

const UserId = createParamDecorator(
  (_: unknown, context: ExecutionContext) => context.switchToHttp().getRequest().userId,
);

function parse<T>(schema: ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new BadRequestException(parsed.error.issues);
  return parsed.data;
}

@Injectable()
class TasksService {
  list(userId: string) {
    const mine = eq(tasks.user_id, userId);
    return db.select().from(tasks).where(mine).orderBy(desc(tasks.created_at), desc(tasks.id)).limit(1000);
  }

  async get(userId: string, id: string) {
    return this.#found(await db.select().from(tasks).where(this.#owned(userId, id)));
  }

  async create(userId: string, task: NewTask) {
    const [created] = await db
      .insert(tasks)
      .values({ ...task, user_id: userId })
      .returning();
    return created;
  }

  async update(userId: string, id: string, change: TaskChange) {
    const values = { ...change, updated_at: new Date() };
    return this.#found(await db.update(tasks).set(values).where(this.#owned(userId, id)).returning());
  }

  async toggle(userId: string, id: string) {
    const values = { is_completed: not(tasks.is_completed), updated_at: new Date() };
    return this.#found(await db.update(tasks).set(values).where(this.#owned(userId, id)).returning());
  }

  #owned(userId: string, id: string) {
    return and(eq(tasks.id, id), eq(tasks.user_id, userId));
  }

  #found<T>([task]: T[]): T {
    if (task === undefined) throw new NotFoundException('Task not found');
    return task;
  }
}

@Controller('api/tasks')
@UseGuards(JwtGuard)
class TasksController {
  constructor(private readonly service: TasksService) {}

  @Get()
  async list(@UserId() userId: string) {
    return { tasks: await this.service.list(userId) };
  }

  @Get(':id')
  get(@UserId() userId: string, @Param('id', ParseUUIDPipe) id: string) {
    return this.service.get(userId, id);
  }

  @Post()
  create(@UserId() userId: string, @Body() body: unknown) {
    return this.service.create(userId, parse(NewTask, body));
  }

  @Put(':id')
  update(@UserId() userId: string, @Param('id', ParseUUIDPipe) id: string, @Body() body: unknown) {
    return this.service.update(userId, id, parse(TaskChange, body));
  }

  @Post(':id/toggle')
  @HttpCode(200)
  toggle(@UserId() userId: string, @Param('id', ParseUUIDPipe) id: string) {
    return this.service.toggle(userId, id);
  }
}

@Module({ controllers: [TasksController], providers: [TasksService, JwtGuard] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
await app.listen(Number(PORT), '127.0.0.1');
