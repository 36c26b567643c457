// A BioT plugin in Go: keeps a patient's age right. No login, no token, no secret: the sidecar has them.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

var sidecar = env("SIDECAR_URL", "http://127.0.0.1:8787")

type patient struct {
	ID    string `json:"_id"`
	Born  string `json:"_dateOfBirth"`
	Years int    `json:"age"`
}

type event struct {
	Data struct {
		Entity patient `json:"entity"`
	} `json:"data"`
}

// refusal is BioT's error or the sidecar's: both have BioT's shape.
type refusal struct {
	status int
	body   []byte
}

func (r refusal) Error() string { return fmt.Sprintf("status %d", r.status) }

// biot makes one call of the BioT API.
func biot(method, path, trace string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, sidecar+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if body == nil {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	request.Header.Set("Content-Type", "application/json")
	if trace != "" { // the event's, if it has one
		request.Header.Set("Traceparent", trace)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	received, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 400 {
		return refusal{response.StatusCode, received}
	}
	return json.Unmarshal(received, answer)
}

// perform: BioT says that a patient was changed; is the age still right?
func perform(told event, trace string) (map[string]any, error) {
	path := "/organization/v1/users/patients/" + told.Data.Entity.ID
	var stored patient
	if err := biot("GET", path, trace, nil, &stored); err != nil {
		return nil, err
	}
	age, err := yearsSince(stored.Born)
	if err != nil {
		return nil, err
	}
	changed := stored.Years != age
	if changed { // else our own change would call us again, for ever
		if err := biot("PATCH", path, trace, map[string]int{"age": age}, &stored); err != nil {
			return nil, err
		}
	}
	return map[string]any{"patient": stored.ID, "age": age, "changed": changed}, nil
}

func yearsSince(day string) (int, error) {
	born, err := time.Parse(time.DateOnly, day)
	today := time.Now()
	years := today.Year() - born.Year()
	if today.Month() < born.Month() || today.Month() == born.Month() && today.Day() < born.Day() {
		years--
	}
	return years, err
}

func serve(writer http.ResponseWriter, request *http.Request) {
	var told event
	err := json.NewDecoder(request.Body).Decode(&told)
	var done map[string]any
	if err == nil {
		done, err = perform(told, request.Header.Get("Traceparent"))
	}
	writer.Header().Set("Content-Type", "application/json")
	switch refused := err.(type) {
	case nil:
		json.NewEncoder(writer).Encode(done)
	case refusal:
		writer.WriteHeader(refused.status)
		writer.Write(refused.body)
	default:
		writer.WriteHeader(http.StatusInternalServerError)
		json.NewEncoder(writer).Encode(map[string]string{"code": "PLUGIN_ERROR", "message": err.Error()})
	}
}

func main() {
	listener, err := net.Listen("tcp", env("PLUGIN_LISTEN", "127.0.0.1:8080"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("plugin on %s, BioT at %s\n", listener.Addr(), sidecar)
	log.Fatal(http.Serve(listener, http.HandlerFunc(serve)))
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
