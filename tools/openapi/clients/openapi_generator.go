package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	client "example.com/todo/client"
)

func must[T any](value T, _ any, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(holds bool, what any) {
	if !holds {
		panic(fmt.Sprint(what))
	}
}

func main() {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: os.Getenv("API_URL")}}
	api := client.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), client.ContextAccessToken, os.Getenv("API_TOKEN"))
	const title = "🥛 Buy oat milk"

	body := client.NewTaskCreate(title)
	body.SetDescriptionNil()
	task := must(api.TasksAPI.CreateTask(ctx).TaskCreate(*body).Execute())
	check(task.Title == title && task.Description.Get() == nil && !task.IsCompleted, task)
	list := must(api.TasksAPI.ListTasks(ctx).Execute())
	check(len(list.Tasks) == 1 && list.Tasks[0].Id == task.Id, list)
	check(must(api.TasksAPI.GetTask(ctx, task.Id).Execute()).Title == title, "get")

	change := client.NewTaskUpdate()
	change.SetDescription("Two")
	changed := must(api.TasksAPI.PatchTask(ctx, task.Id).TaskUpdate(*change).Execute())
	check(*changed.Description.Get() == "Two" && changed.Title == title, changed)
	change = client.NewTaskUpdate()
	change.SetDescriptionNil()
	changed = must(api.TasksAPI.PutTask(ctx, task.Id).TaskUpdate(*change).Execute())
	check(changed.Description.Get() == nil, changed)
	check(must(api.TasksAPI.ToggleTask(ctx, task.Id).Execute()).IsCompleted, "toggle")
	check(must(api.TasksAPI.DeleteTask(ctx, task.Id).Execute()).Id == task.Id, "delete")

	operations := []client.BatchOperation{
		client.BatchCreateAsBatchOperation(client.NewBatchCreate("create", title)),
		client.BatchToggleAsBatchOperation(client.NewBatchToggle("toggle", task.Id)),
	}
	several := must(api.TasksAPI.Batch(ctx).Batch(*client.NewBatch(operations)).Execute())
	check(len(several.Results) == 2 && several.Results[0].Status == 201, several)
	check(several.Results[1].Status == 404 && *several.Results[1].Code == "NOT_FOUND", several)
	changes := must(api.TasksAPI.ListChanges(ctx).Limit(1).Execute())
	check(changes.Changes[0].Task.Get().Title == title, changes)

	_, response, err := api.TasksAPI.GetTask(ctx, task.Id).Execute()
	var failure *client.GenericOpenAPIError
	check(errors.As(err, &failure) && response.StatusCode == 404, err)
	problem, isProblem := failure.Model().(client.Error)
	check(isProblem && problem.Code == "NOT_FOUND", failure.Model())
	_, response, err = api.TasksAPI.CreateTask(ctx).TaskCreate(*client.NewTaskCreate(" ")).Execute()
	check(err != nil && response.StatusCode == 400, err)
	check(must(api.ServiceAPI.Health(ctx).Execute()).Status == "healthy", "health")
	fmt.Println("round trip done")
}
