package dnp3station

import (
	"encoding/binary"
	"time"
)

// openFile is a file that a master has open.
type openFile struct {
	name  string
	data  []byte // read from, or gathered
	write bool
}

// File modes and status codes (Annex A, group 70).
const (
	modeRead  = 1
	modeWrite = 2

	fileOK        = 0
	fileNotFound  = 3
	fileBadHandle = 20 // handle expired or not known
	lastBlock     = 0x80000000
	blockSize     = 200
)

// command is a file command object (group 70, variation 3): open and delete.
func command(name string, at time.Time, key, size uint32, mode uint16) []byte {
	b := append(le16(26), le16(uint16(len(name)))...)
	b = append(append(b, le48(at)...), le16(0o644)...)
	b = append(append(b, le32(key)...), le32(size)...)
	b = append(append(append(b, le16(mode)...), le16(blockSize)...), le16(1)...)
	return append(b, name...)
}

// fileStatus is a command status object (variation 4).
func fileStatus(handle, size uint32, status byte) Objects {
	b := append(le32(handle), le32(size)...)
	return Free(70, 4, append(append(append(b, le16(blockSize)...), le16(1)...), status)...)
}

// named reads the name out of an object whose first two fields are its offset and its length.
func named(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	at, n := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
	if at+n > len(b) {
		return ""
	}
	return string(b[at : at+n])
}

// object is the one file object of a request.
func (r *request) object() []byte {
	if len(r.heads) == 0 || len(r.heads[0].items) == 0 {
		return nil
	}
	return r.heads[0].items[0].data
}

func (d *duty) fileOpen(r *request) error {
	b := r.object()
	name := named(b)
	if len(b) < 26 {
		return d.respond(r, iinParameter)
	}
	f := &openFile{name: name, write: b[20] != modeRead}
	d.mu.Lock()
	data, found := d.Files[name]
	d.mu.Unlock()
	if !f.write {
		if !found {
			return d.respond(r, 0, fileStatus(0, 0, fileNotFound))
		}
		f.data = data
	}
	handle := uint32(len(d.files) + 1)
	d.files[handle] = f
	return d.respond(r, 0, fileStatus(handle, uint32(len(f.data)), fileOK))
}

// fileRead gives one block (variation 5).
func (d *duty) fileRead(h head) ([]Objects, bool) {
	if len(h.items) == 0 || len(h.items[0].data) < 8 {
		return nil, false
	}
	handle, block := binary.LittleEndian.Uint32(h.items[0].data), binary.LittleEndian.Uint32(h.items[0].data[4:])
	f := d.files[handle]
	if f == nil || int(block)*blockSize > len(f.data) {
		return []Objects{Free(70, 6, append(append(le32(handle), le32(block)...), fileBadHandle)...)}, true
	}
	part := f.data[int(block)*blockSize:]
	if len(part) > blockSize {
		part = part[:blockSize]
	} else {
		block |= lastBlock
	}
	return []Objects{Free(70, 5, append(append(le32(handle), le32(block)...), part...)...)}, true
}

// fileWrite takes one block and answers with its status (variation 6).
func (d *duty) fileWrite(r *request, h head) error {
	b := h.items[0].data
	if len(b) < 8 {
		return d.respond(r, iinParameter)
	}
	status := byte(fileBadHandle)
	if f := d.files[binary.LittleEndian.Uint32(b)]; f != nil && f.write {
		f.data = append(f.data, b[8:]...)
		status = fileOK
	}
	return d.respond(r, 0, Free(70, 6, append(append([]byte(nil), b[:8]...), status)...))
}

// fileClose ends a file, and keeps what was written unless it is aborted.
func (d *duty) fileClose(r *request) error {
	b := r.object()
	if len(b) < 4 {
		return d.respond(r, iinParameter)
	}
	handle := binary.LittleEndian.Uint32(b)
	f := d.files[handle]
	if f == nil {
		return d.respond(r, 0, fileStatus(handle, 0, fileBadHandle))
	}
	if f.write && r.fc == CloseFile {
		d.mu.Lock()
		d.Files[f.name] = f.data
		d.mu.Unlock()
	}
	delete(d.files, handle)
	return d.respond(r, 0, fileStatus(handle, uint32(len(f.data)), fileOK))
}

func (d *duty) fileDelete(r *request) error {
	name := named(r.object())
	d.mu.Lock()
	_, found := d.Files[name]
	delete(d.Files, name)
	d.mu.Unlock()
	if !found {
		return d.respond(r, 0, fileStatus(0, 0, fileNotFound))
	}
	return d.respond(r, 0, fileStatus(0, 0, fileOK))
}

// fileInfo describes a file (variation 7).
func (d *duty) fileInfo(r *request) error {
	name := named(r.object())
	d.mu.Lock()
	data, found := d.Files[name]
	d.mu.Unlock()
	if !found {
		return d.respond(r, 0, fileStatus(0, 0, fileNotFound))
	}
	return d.respond(r, 0, Free(70, 7, descriptor(name, uint32(len(data)), d.Clock.Now())...))
}

// descriptor is a file descriptor object: a simple file.
func descriptor(name string, size uint32, at time.Time) []byte {
	b := append(append(le16(20), le16(uint16(len(name)))...), le16(1)...)
	b = append(append(b, le32(size)...), le48(at)...)
	return append(append(append(b, le16(0o644)...), le16(1)...), name...)
}

// fileLogin hands out a key (variation 2).
func (d *duty) fileLogin(r *request) error {
	return d.respond(r, 0, Free(70, 2, login("", "", 0x2f3e)...))
}

// login is an authentication object.
func login(user, password string, key uint32) []byte {
	b := append(le16(12), le16(uint16(len(user)))...)
	b = append(append(b, le16(uint16(12+len(user)))...), le16(uint16(len(password)))...)
	return append(append(append(b, le32(key)...), user...), password...)
}
