import os
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import Annotated

import jwt
from anyio import to_thread
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Column, DateTime
from sqlmodel import Field, Session, SQLModel, create_engine, select

JWT_SECRET = os.environ["JWT_SECRET"]
DATABASE_URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1)

# A request keeps its connection until its response has been serialized, which again needs a thread: with fewer
# connections than concurrent requests, threads that wait for a connection block those that would release one.
CONNECTIONS = 100
CONNECTION_TIMEOUT_S = 5
THREADS = 40

engine = create_engine(DATABASE_URL, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=CONNECTION_TIMEOUT_S)


@asynccontextmanager
async def lifespan(_: FastAPI):
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield
    engine.dispose()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


def now() -> datetime:
    return datetime.now(timezone.utc)


class TaskChange(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    is_completed: bool | None = None


class NewTask(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    is_completed: bool = False


class Task(NewTask, table=True):
    __tablename__ = "tasks"
    __table_args__ = {"schema": "peer"}

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: str
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    updated_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class TaskRead(NewTask):
    id: uuid.UUID
    user_id: str
    created_at: datetime
    updated_at: datetime


class TaskList(SQLModel):
    tasks: list[TaskRead]


def get_session():
    with Session(engine) as session:
        yield session


def get_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    try:
        required = {"require": ["exp", "sub"]}
        claims = jwt.decode(credentials.credentials, JWT_SECRET, algorithms=["HS256"], options=required)
    except jwt.InvalidTokenError:
        raise HTTPException(status_code=401, detail="Authentication token is invalid")
    return claims["sub"]


Database = Annotated[Session, Depends(get_session)]
User = Annotated[str, Depends(get_user)]


def owned(session: Session, user: str, task_id: uuid.UUID) -> Task:
    task = session.exec(select(Task).where(Task.id == task_id, Task.user_id == user)).first()
    if task is None:
        raise HTTPException(status_code=404, detail="Task not found")
    return task


def save(session: Session, task: Task) -> Task:
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.get("/api/tasks", response_model=TaskList)
def list_tasks(session: Database, user: User):
    newest = select(Task).where(Task.user_id == user).order_by(Task.created_at.desc(), Task.id.desc()).limit(1000)
    return {"tasks": session.exec(newest).all()}


@app.get("/api/tasks/{task_id}", response_model=TaskRead)
def get_task(task_id: uuid.UUID, session: Database, user: User):
    return owned(session, user, task_id)


@app.post("/api/tasks", response_model=TaskRead, status_code=201)
def create_task(task: NewTask, session: Database, user: User):
    return save(session, Task(**task.model_dump(), user_id=user))


@app.put("/api/tasks/{task_id}", response_model=TaskRead)
def update_task(task_id: uuid.UUID, change: TaskChange, session: Database, user: User):
    task = owned(session, user, task_id)
    task.sqlmodel_update(change.model_dump(exclude_unset=True))
    task.updated_at = now()
    return save(session, task)


@app.post("/api/tasks/{task_id}/toggle", response_model=TaskRead)
def toggle_task(task_id: uuid.UUID, session: Database, user: User):
    task = owned(session, user, task_id)
    task.is_completed = not task.is_completed
    task.updated_at = now()
    return save(session, task)
