// Reads {"pattern", "minLength", "maxLength", "texts"} as JSON, and prints which texts Go's regexp finds valid.
package main

import (
	"encoding/json"
	"log"
	"os"
	"regexp"
	"unicode/utf8"
)

func main() {
	var limits struct {
		Pattern   string
		MinLength int
		MaxLength int
		Texts     []string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&limits); err != nil {
		log.Fatal(err)
	}
	pattern := regexp.MustCompile(limits.Pattern)
	valid := []bool{}
	for _, text := range limits.Texts {
		length := utf8.RuneCountInString(text)
		fits := length >= limits.MinLength && length <= limits.MaxLength
		valid = append(valid, fits && pattern.MatchString(text))
	}
	if err := json.NewEncoder(os.Stdout).Encode(valid); err != nil {
		log.Fatal(err)
	}
}
