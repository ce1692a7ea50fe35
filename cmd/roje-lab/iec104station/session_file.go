package iec104station

// Directory asks for the list of files.
func (s *Session) Directory() error {
	err := s.Send(&ASDU{Type: 122, Cause: Requested, Objects: []Object{{0, join(u16(0), []byte{0, 0})}}})
	if err != nil {
		return err
	}
	return s.wait(func(a *ASDU) bool { return a.Type == 126 })
}

// about is an ASDU of a file transfer, ready to be filled in.
func (s *Session) about(ioa uint32) ASDU {
	return ASDU{Cause: FileTransfer, OA: s.OA, CA: s.CA, Objects: []Object{{IOA: ioa}}}
}

// Fetch reads a file.
func (s *Session) Fetch(ioa uint32, name uint16) ([]byte, error) {
	var got []byte
	if err := s.call(s.about(ioa), name, 0, selectFile); err != nil {
		return nil, err
	}
	var failed error
	err := s.wait(func(a *ASDU) bool {
		b := a.Objects[0].Data
		switch a.Type {
		case 120:
			failed = s.call(s.about(ioa), name, 0, requestFile)
		case 121:
			failed = s.call(s.about(ioa), name, b[2], requestSection)
		case 125:
			got = append(got, b[4:]...)
		case 123:
			if b[3] != lastOfSection {
				failed = s.acknowledge(s.about(ioa), name, b[2], ackFile)
				return true
			}
			failed = s.acknowledge(s.about(ioa), name, b[2], ackSection)
		case 122:
			failed = ErrRefused
		}
		return failed != nil
	})
	if err == nil {
		err = failed
	}
	return got, err
}

// Store writes a file to the station.
func (s *Session) Store(ioa uint32, f *File) error {
	t := &transfer{sections: f.Sections, name: f.Name}
	if err := s.ready(s.about(ioa), f); err != nil {
		return err
	}
	var failed error
	err := s.wait(func(a *ASDU) bool {
		b := a.Objects[0].Data
		switch {
		case a.Type == 122 && b[3] == requestFile:
			failed = s.sectionReadyNow(s.about(ioa), t)
		case a.Type == 122 && b[3] == requestSection:
			failed = s.sectionNow(s.about(ioa), t)
		case a.Type == 124 && b[3] == ackSection:
			failed = s.advance(s.about(ioa), t)
		case a.Type == 124 && b[3] == ackFile:
			return true
		}
		return failed != nil
	})
	if err == nil {
		err = failed
	}
	return err
}
