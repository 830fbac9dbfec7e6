// PocketBase with a `tasks` collection, and a command that fills it.
package main

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/types"
	"github.com/spf13/cobra"
)

// The same data as in bench/data.ts.
const (
	bigUser   = 99_999_999
	bigList   = 1000
	tasksEach = 20
)

var epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func createTasks(app core.App) error {
	users, err := app.FindCollectionByNameOrId("users")
	if err != nil {
		return err
	}
	tasks := core.NewBaseCollection("tasks")
	owner := types.Pointer("owner = @request.auth.id")
	tasks.ListRule, tasks.ViewRule, tasks.CreateRule = owner, owner, owner
	tasks.UpdateRule, tasks.DeleteRule = owner, owner
	tasks.Fields.Add(
		&core.RelationField{Name: "owner", CollectionId: users.Id, CascadeDelete: true, MaxSelect: 1, Required: true},
		&core.TextField{Name: "title", Max: 200, Required: true},
		&core.TextField{Name: "description", Max: 2000},
		&core.BoolField{Name: "is_completed"},
		&core.AutodateField{Name: "created", OnCreate: true},
		&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	tasks.AddIndex("idx_tasks_owner_created", false, "owner, created", "")
	return app.Save(tasks)
}

func hash(format string, numbers ...any) string {
	sum := md5.Sum(fmt.Appendf(nil, format, numbers...))
	return hex.EncodeToString(sum[:])
}

// userID and taskID give ids of 15 characters, PocketBase's own length.
func userID(user int) string       { return hash("bench user %d", user)[:15] }
func taskID(user, task int) string { return hash("bench task %d %d", user, task)[:15] }
func tokenKey(user int) string     { return hash("bench token key %d", user) }

func insertUsers(app core.App, users []int) error {
	insert := app.DB().NewQuery(`INSERT INTO users (id, email, tokenKey, password, verified, created, updated)
		VALUES ({:id}, {:email}, {:key}, '-', TRUE, {:at}, {:at})`).Prepare()
	defer insert.Close()
	at := epoch.Format(types.DefaultDateLayout)
	for _, user := range users {
		email := fmt.Sprintf("user%d@example.com", user)
		params := dbx.Params{"id": userID(user), "email": email, "key": tokenKey(user), "at": at}
		if _, err := insert.Bind(params).Execute(); err != nil {
			return err
		}
	}
	return nil
}

// insertTasks adds `each` tasks for each user in order of creation, so that the rows of one user are scattered.
func insertTasks(app core.App, users []int, each int) error {
	insert := app.DB().NewQuery(`INSERT INTO tasks (id, owner, title, description, is_completed, created, updated)
		VALUES ({:id}, {:owner}, {:title}, {:description}, {:done}, {:at}, {:at})`).Prepare()
	defer insert.Close()
	for task := 1; task <= each; task++ {
		description := ""
		if task%2 == 0 {
			description = "Two cartons if they are fresh, one if not; the shop at the corner closes at eight"
		}
		for _, user := range users {
			created := epoch.Add(time.Duration(task)*time.Minute + time.Duration(user)*time.Millisecond)
			params := dbx.Params{
				"id":          taskID(user, task),
				"owner":       userID(user),
				"title":       fmt.Sprintf("Buy oat milk, the barista kind, carton %d", task),
				"description": description,
				"done":        task%3 == 0,
				"at":          created.Format(types.DefaultDateLayout),
			}
			if _, err := insert.Bind(params).Execute(); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeTokens writes one auth token per line, in the order of `users`.
func writeTokens(app core.App, users []int, path string) error {
	collection, err := app.FindCollectionByNameOrId("users")
	if err != nil {
		return err
	}
	var tokens strings.Builder
	for _, user := range users {
		record := core.NewRecord(collection)
		record.Id = userID(user)
		record.SetTokenKey(tokenKey(user))
		token, err := record.NewAuthToken()
		if err != nil {
			return err
		}
		tokens.WriteString(token + "\n")
	}
	return os.WriteFile(path, []byte(tokens.String()), 0o600)
}

func seed(app core.App, count int, tokens string) error {
	if err := app.RunAllMigrations(); err != nil {
		return err
	}
	users := make([]int, 0, count+1)
	for user := range count {
		users = append(users, user)
	}
	everybody := append(users, bigUser)
	err := app.RunInTransaction(func(tx core.App) error {
		if err := insertUsers(tx, everybody); err != nil {
			return err
		}
		if err := insertTasks(tx, users, tasksEach); err != nil {
			return err
		}
		return insertTasks(tx, []int{bigUser}, bigList)
	})
	if err != nil {
		return err
	}
	if _, err := app.DB().NewQuery("ANALYZE").Execute(); err != nil {
		return err
	}
	return writeTokens(app, everybody, tokens)
}

func main() {
	migrations.Register(createTasks, nil, "1735689600_tasks.go")
	// pocketbase.New() turns on dev mode if the program is below the temporary directory.
	app := pocketbase.NewWithConfig(pocketbase.Config{})
	app.OnServe().BindFunc(func(event *core.ServeEvent) error {
		event.InstallerFunc = nil // would open a browser
		return event.Next()
	})
	app.RootCmd.AddCommand(&cobra.Command{
		Use:  "seed USERS TOKENS",
		Args: cobra.ExactArgs(2),
		Run: func(_ *cobra.Command, args []string) {
			count, err := strconv.Atoi(args[0])
			if err == nil {
				err = seed(app, count, args[1])
			}
			if err != nil {
				log.Fatal(err)
			}
		},
	})
	if err := app.Start(); err != nil {
		log.Fatal(err)
	}
}
