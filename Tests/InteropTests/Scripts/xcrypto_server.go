// An SSH server of golang.org/x/crypto's that forwards whatever it is asked to, for whoever has the key.
//
// usage: xcrypto_server PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"
)

// RFC 4254 section 7.2: what a channel of either kind says of its two ends.
type ends struct {
	Host       string
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// RFC 4254 section 7.1.
type address struct {
	Host string
	Port uint32
}

type halfCloser interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// join carries both directions, each with its end, until both have ended.
func join(channel ssh.Channel, peer halfCloser) {
	var both sync.WaitGroup
	pump := func(sink, source halfCloser) {
		defer both.Done()
		if _, err := io.Copy(sink, source); err != nil || sink.CloseWrite() != nil {
			sink.Close()
			source.Close()
		}
	}
	both.Add(2)
	go pump(channel, peer)
	go pump(peer, channel)
	both.Wait()
	channel.Close()
	peer.Close()
}

func serveChannels(channels <-chan ssh.NewChannel) {
	for asked := range channels {
		go func(asked ssh.NewChannel) {
			var to ends
			if asked.ChannelType() != "direct-tcpip" || ssh.Unmarshal(asked.ExtraData(), &to) != nil {
				asked.Reject(ssh.UnknownChannelType, "only forwards")
				return
			}
			target, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
			if err != nil {
				asked.Reject(ssh.ConnectionFailed, err.Error())
				return
			}
			channel, requests, err := asked.Accept()
			if err != nil {
				target.Close()
				return
			}
			go ssh.DiscardRequests(requests)
			join(channel, target.(*net.TCPConn))
		}(asked)
	}
}

func listen(connection *ssh.ServerConn, listener net.Listener, asked address) {
	for {
		peer, err := listener.Accept()
		if err != nil {
			return
		}
		origin := peer.RemoteAddr().(*net.TCPAddr)
		payload := ssh.Marshal(&ends{asked.Host, asked.Port, origin.IP.String(), uint32(origin.Port)})
		go func() {
			channel, requests, err := connection.OpenChannel("forwarded-tcpip", payload)
			if err != nil {
				peer.Close()
				return
			}
			go ssh.DiscardRequests(requests)
			join(channel, peer.(*net.TCPConn))
		}()
	}
}

func serve(connection *ssh.ServerConn, requests <-chan *ssh.Request) {
	listeners := map[address]net.Listener{}
	defer func() {
		for _, listener := range listeners {
			listener.Close()
		}
	}()
	for request := range requests {
		var asked address
		isGood := false
		var answer []byte
		switch {
		case request.Type == "tcpip-forward" && ssh.Unmarshal(request.Payload, &asked) == nil:
			host := asked.Host
			if host == "localhost" {
				host = "127.0.0.1"
			}
			listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(asked.Port))))
			if err == nil {
				isGood = true
				if asked.Port == 0 {
					asked.Port = uint32(listener.Addr().(*net.TCPAddr).Port)
					answer = ssh.Marshal(&struct{ Port uint32 }{asked.Port})
				}
				listeners[asked] = listener
				go listen(connection, listener, asked)
			}
		case request.Type == "cancel-tcpip-forward" && ssh.Unmarshal(request.Payload, &asked) == nil:
			if listener, found := listeners[asked]; found {
				listener.Close()
				delete(listeners, asked)
				isGood = true
			}
		}
		if request.WantReply {
			request.Reply(isGood, answer)
		}
	}
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func main() {
	port, keys, hostKeys := os.Args[1], read(os.Args[2]), os.Args[4:]
	threshold, err := strconv.ParseUint(os.Args[3], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	// Whether a key is known by itself, or as an authority that signs certificates.
	isAuthority := map[string]bool{}
	for len(keys) > 0 {
		key, _, options, rest, err := ssh.ParseAuthorizedKey(keys)
		if err != nil {
			log.Fatal(err)
		}
		isAuthority[string(key.Marshal())] = len(options) > 0 && options[0] == "cert-authority"
		keys = rest
	}
	checker := ssh.CertChecker{
		IsUserAuthority: func(key ssh.PublicKey) bool { return isAuthority[string(key.Marshal())] },
		UserKeyFallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if authority, found := isAuthority[string(key.Marshal())]; found && !authority {
				return nil, nil
			}
			return nil, fmt.Errorf("an unknown key")
		},
	}
	config := &ssh.ServerConfig{PublicKeyCallback: checker.Authenticate}
	config.RekeyThreshold = threshold
	for _, path := range hostKeys {
		signer, err := ssh.ParsePrivateKey(read(path))
		if err != nil {
			log.Fatal(err)
		}
		config.AddHostKey(signer)
		if certificate, err := os.ReadFile(path + "-cert.pub"); err == nil {
			key, _, _, _, err := ssh.ParseAuthorizedKey(certificate)
			if err != nil {
				log.Fatal(err)
			}
			signer, err := ssh.NewCertSigner(key.(*ssh.Certificate), signer)
			if err != nil {
				log.Fatal(err)
			}
			config.AddHostKey(signer)
		}
	}
	doors, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	for {
		socket, err := doors.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			connection, channels, requests, err := ssh.NewServerConn(socket, config)
			if err != nil {
				log.Print(err)
				socket.Close()
				return
			}
			go serveChannels(channels)
			serve(connection, requests)
		}()
	}
}
