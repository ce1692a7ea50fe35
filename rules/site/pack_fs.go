package site

import (
	"bytes"
	"io/fs"
	"time"
)

// FS returns the files of p as a file system that is one folder.
func (p *Pack) FS() fs.FS { return folder{p} }

type folder struct{ *Pack }

var (
	_ fs.ReadDirFS  = folder{}
	_ fs.ReadFileFS = folder{}
)

// info is a file of a pack as io/fs describes it.
type info struct {
	File
	at time.Time
}

func (i info) Name() string       { return i.File.Name }
func (i info) Size() int64        { return int64(i.File.Size) }
func (i info) Mode() fs.FileMode  { return 0o444 }
func (i info) ModTime() time.Time { return i.at }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

// open is a file of a pack that is being read.
type open struct {
	*bytes.Reader
	info
}

func (o open) Size() int64                { return o.info.Size() }
func (o open) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o open) Close() error               { return nil }

// Open implements fs.FS. The folder itself can only be listed.
func (f folder) Open(name string) (fs.File, error) {
	for _, file := range f.Files {
		if file.Name == name {
			return open{bytes.NewReader(f.files[name]), info{file, f.Created}}, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir implements fs.ReadDirFS.
func (f folder) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var all []fs.DirEntry
	for _, file := range f.Files {
		all = append(all, fs.FileInfoToDirEntry(info{file, f.Created}))
	}
	return all, nil
}

// ReadFile implements fs.ReadFileFS.
func (f folder) ReadFile(name string) ([]byte, error) {
	if text, ok := f.files[name]; ok {
		return bytes.Clone(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
