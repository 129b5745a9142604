// A scanner that could stand below the reader that rt generates: the tokens alone.
package main

import (
	"bytes"
	"io"
	"os"

	"github.com/go-json-experiment/json/jsontext"
)

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	for err == nil {
		_, err = d.ReadToken()
	}
	if err != io.EOF {
		panic(err)
	}
}
