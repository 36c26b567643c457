// Go's httputil.ReverseProxy, as Vault Agent, kubectl proxy and others build on it: LISTEN UPSTREAM CA TOKEN.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	listen, authorization := os.Args[1], "Bearer "+os.Args[4]
	upstream, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(upstream)
			request.Out.Header.Set("Authorization", authorization)
		},
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024, // the default of 2 would dial anew for nearly every request
			TLSClientConfig:     &tls.Config{RootCAs: roots},
			DisableCompression:  true,
		},
	}
	log.Fatal(http.ListenAndServe(listen, proxy))
}
