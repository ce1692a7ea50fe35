package api

import (
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

type object = map[string]any

// document answers with the OpenAPI document.
func (s *Server) document(w http.ResponseWriter, _ *http.Request) { send(w, Document()) }

// Document describes every call in OpenAPI 3.1.
func Document() map[string]any {
	schemas := object{"Error": object{"type": "object", "properties": object{"error": object{"type": "string"}}}}
	refused := func(about string) object { return answer(about, object{"$ref": "#/components/schemas/Error"}) }
	paths := object{}
	for _, c := range append(calls(), sectorCall) {
		params := []any{}
		for _, p := range c.params {
			params = append(params, p.document())
		}
		answers := object{"401": refused("no or wrong credentials"), "403": refused("this account may not"), "429": refused("too many failed sign-ins")}
		if strings.Contains(c.path, "{id}") {
			params = append(params, object{"name": "id", "in": "path", "required": true, "schema": object{"type": "string"}})
			answers["404"] = refused("not found")
		}
		if c.params != nil {
			answers["400"] = refused("a parameter is wrong")
		}
		if kind, ok := c.answer.(media); ok {
			answers["200"] = object{"description": "as asked", "content": object{string(kind): object{"schema": object{"type": "string", "contentMediaType": string(kind)}}}}
		} else {
			answers["200"] = answer("as asked", schema(reflect.TypeOf(c.answer), schemas))
		}
		paths[c.path] = object{"get": object{"operationId": c.id, "summary": c.about, "parameters": params, "responses": answers}}
	}
	return object{
		"openapi":  "3.1.0",
		"info":     object{"title": "Roje collector", "version": "1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"basic": []any{}}, object{"bearer": []any{}}, object{"session": []any{}}},
		"paths":    paths,
		"components": object{"schemas": schemas, "securitySchemes": object{
			"basic":   object{"type": "http", "scheme": "basic"},
			"bearer":  object{"type": "http", "scheme": "bearer", "description": "name:password, as it is or in base64"},
			"session": object{"type": "apiKey", "in": "cookie", "name": "roje_session"},
		}},
	}
}

func (p param) document() object {
	s := object{"type": p.kind}
	switch {
	case p.kind == "date-time":
		s = object{"type": "string", "format": "date-time"}
	case p.enum != nil:
		s = object{"type": "array", "items": object{"type": "string", "enum": p.enum}}
	}
	doc := object{"name": p.name, "in": "query", "description": p.about, "schema": s}
	if p.enum != nil {
		doc["style"], doc["explode"] = "form", false
	}
	return doc
}

func answer(about string, schema object) object {
	return object{"description": about, "content": object{"application/json": object{"schema": schema}}}
}

// schema describes how encoding/json writes a type; structs go into schemas by name.
func schema(t reflect.Type, schemas object) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[rules.Severity]():
		return object{"type": "string", "enum": rules.SeverityNames()}
	case t == reflect.TypeFor[store.Status]():
		return object{"type": "string", "enum": statusNames}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	case t == reflect.TypeFor[[]byte]():
		return object{"type": "string", "contentEncoding": "base64"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem(), schemas)
	case reflect.Slice:
		return object{"type": "array", "items": schema(t.Elem(), schemas)}
	case reflect.Struct:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if _, done := schemas[name]; !done {
			properties, required := object{}, []string{}
			schemas[name] = object{"type": "object", "properties": properties}
			members(t, properties, &required, schemas)
			schemas[name].(object)["required"] = required
		}
		return object{"$ref": "#/components/schemas/" + name}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(t.Elem(), schemas)}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	default:
		return object{"type": "integer"}
	}
}

func members(t reflect.Type, properties object, required *[]string, schemas object) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			members(f.Type, properties, required, schemas)
		default:
			properties[name] = schema(f.Type, schemas)
			if !strings.Contains(options, "omit") && f.Type.Kind() != reflect.Slice {
				*required = append(*required, name)
			}
		}
	}
}
