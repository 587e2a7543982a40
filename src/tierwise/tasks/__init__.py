"""What a request to a model is asking for: task type, complexity and use case, inferred in process."""

from __future__ import annotations

from tierwise.tasks.complexity import Complexity
from tierwise.tasks.infer import Inference, infer
from tierwise.tasks.memory import TaskMemory
from tierwise.tasks.taxonomy import TASKS, TaskType
from tierwise.tasks.use_case import UseCase, use_case

__all__ = ["TASKS", "Complexity", "Inference", "TaskMemory", "TaskType", "UseCase", "infer", "use_case"]
