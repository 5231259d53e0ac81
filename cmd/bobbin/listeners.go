package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listener is one entry of listeners or advertised.listeners.
type listener struct {
	name string // unique, in capitals
	host string // "": every address
	port int    // 0: any that is free
}

func (l listener) address() string { return net.JoinHostPort(l.host, strconv.Itoa(l.port)) }
func (l listener) String() string  { return l.name + "://" + l.address() }

// loopback tells whether only this machine can reach the listener.
func (l listener) loopback() bool {
	ip := net.ParseIP(l.host)
	return l.host == "localhost" || ip != nil && ip.IsLoopback()
}

func (l listener) everywhere() bool {
	ip := net.ParseIP(l.host)
	return l.host == "" || ip != nil && ip.IsUnspecified()
}

// parseListeners reads NAME://host:port, or host:port for one that is named
// PLAINTEXT (the next ones PLAINTEXT-2 and so on).
func parseListeners(list []string) ([]listener, error) {
	var listeners []listener
	for _, text := range list {
		name, rest, named := strings.Cut(text, "://")
		if !named {
			name, rest = "PLAINTEXT", text
			if n := len(listeners); n > 0 {
				name += "-" + strconv.Itoa(n+1)
			}
		}
		host, portText, err := net.SplitHostPort(rest)
		port, perr := strconv.ParseUint(portText, 10, 16)
		if err != nil || perr != nil || name == "" {
			return nil, fmt.Errorf("%q is not of the form NAME://host:port", text)
		}
		l := listener{strings.ToUpper(name), host, int(port)}
		for _, other := range listeners {
			if other.name == l.name {
				return nil, fmt.Errorf("two listeners are named %s", l.name)
			}
			if other.port == l.port && other.host == l.host && l.port != 0 {
				return nil, fmt.Errorf("two listeners are at %s", l.address())
			}
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// endpoints are the listeners to open and what clients are told about each:
// advertised[i] speaks of listeners[i]. An advertised port 0 is the one that
// the listener gets.
type endpoints struct {
	listeners  []listener
	advertised []listener
	remarks    []string
}

// resolveEndpoints reads the five keys about listeners.
func resolveEndpoints(s *settings) (endpoints, error) {
	var e endpoints
	fail := func(key string, err error) (endpoints, error) {
		return e, usagef("%s (%s): %w", key, s.get(key).origin, err)
	}
	all, err := parseListeners(s.list("listeners"))
	if err != nil {
		return fail("listeners", err)
	}
	protocols, err := parseProtocols(s.list("listener.security.protocol.map"))
	if err != nil {
		return fail("listener.security.protocol.map", err)
	}
	controllers := s.list("controller.listener.names")
	for _, l := range all {
		if slices.ContainsFunc(controllers, func(name string) bool { return strings.EqualFold(name, l.name) }) {
			e.remarks = append(e.remarks, fmt.Sprintf("listener %s is for controllers and is not opened: a single node's controller is reached from within", l))
			continue
		}
		if err := protocols.check(l); err != nil {
			return fail("listeners", err)
		}
		if !l.loopback() && !s.boolean("bobbin.allow.plaintext") {
			return fail("listeners", fmt.Errorf("%s can be reached from other machines, without encryption and by anyone: say --allow-plaintext (bobbin.allow.plaintext=true) if that is meant, or listen on 127.0.0.1", l))
		}
		e.listeners = append(e.listeners, l)
	}
	if len(e.listeners) == 0 {
		return fail("listeners", fmt.Errorf("there is none for clients"))
	}
	advertised, err := parseListeners(s.list("advertised.listeners"))
	if err != nil {
		return fail("advertised.listeners", err)
	}
	if e.advertised, err = advertise(e.listeners, advertised, controllers); err != nil {
		return fail("advertised.listeners", err)
	}
	return e, nil
}

// advertise returns what clients are told about each listener.
func advertise(listeners, advertised []listener, controllers []string) ([]listener, error) {
	told := make([]listener, len(listeners))
	for i, l := range listeners {
		told[i] = l
		if l.everywhere() { // no address that a client could use
			name, err := os.Hostname()
			if err != nil {
				return nil, fmt.Errorf("say what clients are to connect to for %s: this machine has no name: %w", l, err)
			}
			told[i].host = name
		}
	}
	for _, a := range advertised {
		i := slices.IndexFunc(listeners, func(l listener) bool { return l.name == a.name })
		switch {
		case i >= 0 && a.everywhere():
			return nil, fmt.Errorf("%s is no address that a client can connect to", a)
		case i >= 0:
			told[i] = a
		case !slices.ContainsFunc(controllers, func(name string) bool { return strings.EqualFold(name, a.name) }):
			return nil, fmt.Errorf("%s: no listener is named %s", a, a.name)
		}
	}
	return told, nil
}

// protocolMap is what names of listeners stand for.
type protocolMap map[string]string

func parseProtocols(list []string) (protocolMap, error) {
	m := protocolMap{}
	for _, text := range list {
		name, protocol, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form NAME:PROTOCOL", text)
		}
		m[strings.ToUpper(name)] = strings.ToUpper(protocol)
	}
	return m, nil
}

// check refuses a listener that needs more than Bobbin can do.
func (m protocolMap) check(l listener) error {
	protocol, ok := m[l.name]
	if !ok && strings.HasPrefix(l.name, "PLAINTEXT") {
		protocol, ok = "PLAINTEXT", true
	}
	switch {
	case !ok:
		return fmt.Errorf("%s: listener.security.protocol.map does not say which protocol %s is", l, l.name)
	case protocol == "SSL", protocol == "SASL_PLAINTEXT", protocol == "SASL_SSL":
		return fmt.Errorf("%s needs %s, and this release can only do PLAINTEXT", l, protocol)
	case protocol != "PLAINTEXT":
		return fmt.Errorf("%s: %s is no security protocol", l, protocol)
	}
	return nil
}
