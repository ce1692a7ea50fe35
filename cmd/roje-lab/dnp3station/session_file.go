package dnp3station

import (
	"encoding/binary"
	"errors"
)

// status reads a command status object out of an answer: handle and size.
func (a Answer) status() (handle, size uint32, err error) {
	b := a.Objects
	if len(b) < 6+13 || b[0] != 70 || b[1] != 4 {
		return 0, 0, errors.New("dnp3: no file status")
	}
	if b = b[6:]; b[12] != fileOK {
		return 0, 0, errors.New("dnp3: file refused")
	}
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), nil
}

// open opens a file, and close closes it.
func (s *Session) open(name string, size uint32, mode uint16) (handle, length uint32, err error) {
	a, err := s.Ask(OpenFile, Free(70, 3, command(name, s.Line.Clock.Now(), 0, size, mode)...))
	if err != nil {
		return 0, 0, err
	}
	return a.status()
}

func (s *Session) close(fc byte, handle uint32) error {
	_, err := s.Ask(fc, fileStatus(handle, 0, fileOK))
	return err
}

// Fetch reads a file.
func (s *Session) Fetch(name string) ([]byte, error) {
	handle, _, err := s.open(name, 0, modeRead)
	if err != nil {
		return nil, err
	}
	var got []byte
	for block := uint32(0); ; block++ {
		a, err := s.Ask(Read, Free(70, 5, append(le32(handle), le32(block)...)...))
		if err != nil {
			return got, err
		}
		b := a.Objects
		if len(b) < 6+8 || b[1] != 5 {
			return got, errors.New("dnp3: no file block")
		}
		got = append(got, b[14:]...)
		if binary.LittleEndian.Uint32(b[10:])&lastBlock != 0 {
			return got, s.close(CloseFile, handle)
		}
	}
}

// Store writes a file; with abort it is given up before it is closed.
func (s *Session) Store(name string, data []byte, abort bool) error {
	handle, _, err := s.open(name, uint32(len(data)), modeWrite)
	if err != nil {
		return err
	}
	for block := uint32(0); ; block++ {
		n, mark := min(len(data), blockSize), block
		if n == len(data) {
			mark |= lastBlock
		}
		if _, err := s.Ask(Write, Free(70, 5, append(append(le32(handle), le32(mark)...), data[:n]...)...)); err != nil {
			return err
		}
		if data = data[n:]; len(data) == 0 {
			break
		}
	}
	if abort {
		return s.close(AbortFile, handle)
	}
	return s.close(CloseFile, handle)
}

// Delete removes a file, Info asks for its description, Login authenticates with a name and a password in clear text.
func (s *Session) Delete(name string) (Answer, error) {
	return s.Ask(DeleteFile, Free(70, 3, command(name, s.Line.Clock.Now(), 0, 0, 0)...))
}

// Info asks for a file's description.
func (s *Session) Info(name string) (Answer, error) {
	return s.Ask(FileInfo, Free(70, 7, descriptor(name, 0, s.Line.Clock.Now())...))
}

// Login authenticates for files.
func (s *Session) Login(user, password string) (Answer, error) {
	return s.Ask(AuthenticateFile, Free(70, 2, login(user, password, 0)...))
}
