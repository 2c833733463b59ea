// A plain operator for PhoneNumbers by search at Twilio, as it is usually written with controller-runtime: a finalizer, a
// search, a purchase, a status. It protects no money: it asks for another number after any error, and stores no claim before it
// buys. The bench runs it beside the operator of this project, on the same API server and the same emulated provider.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const (
	finalizer = "telephony.burki.dev/peer"
	// How many searches a reconcile makes at most when others are faster.
	searches = 10
)

// PhoneNumber has the fields of the custom resource that this operator uses.
type PhoneNumber struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status,omitempty"`
}

// Spec is what is wanted.
type Spec struct {
	Provider string `json:"provider"`
	Search   Search `json:"search"`
}

// Search is what the number must be like.
type Search struct {
	Country  string `json:"country"`
	AreaCode string `json:"areaCode,omitempty"`
}

// Status is what was bought.
type Status struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	PhoneNumber        string             `json:"phoneNumber,omitempty"`
	ID                 string             `json:"id,omitempty"`
	AccountID          string             `json:"accountId,omitempty"`
	Twilio             *Twilio            `json:"twilio,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// Twilio is what Twilio says of the number.
type Twilio struct {
	SID          string `json:"sid"`
	FriendlyName string `json:"friendlyName"`
}

// PhoneNumberList is a list of them.
type PhoneNumberList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []PhoneNumber `json:"items"`
}

// DeepCopyObject copies the number.
func (in *PhoneNumber) DeepCopyObject() runtime.Object {
	out := in.copied()
	return &out
}

func (in *PhoneNumber) copied() PhoneNumber {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if in.Status.Twilio != nil {
		twilio := *in.Status.Twilio
		out.Status.Twilio = &twilio
	}
	out.Status.Conditions = append([]metav1.Condition(nil), in.Status.Conditions...)
	return out
}

// DeepCopyObject copies the list.
func (in *PhoneNumberList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = make([]PhoneNumber, len(in.Items))
	for i := range in.Items {
		out.Items[i] = in.Items[i].copied()
	}
	return &out
}

type twilio struct {
	endpoint, account, token string
	http                     *http.Client
}

var errTaken = errors.New("the number is not on sale any more")

// call asks Twilio, and reads its answer into `into` if that is given.
func (t *twilio) call(ctx context.Context, method, path string, form url.Values, into any) (int, error) {
	address := fmt.Sprintf("%s/2010-04-01/Accounts/%s/%s", t.endpoint, t.account, path)
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else if len(form) > 0 {
		address += "?" + form.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return 0, err
	}
	request.SetBasicAuth(t.account, t.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := t.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || into == nil || answer.StatusCode >= 300 {
		return answer.StatusCode, err
	}
	return answer.StatusCode, json.Unmarshal(text, into)
}

func (t *twilio) search(ctx context.Context, search Search) (string, error) {
	var found struct {
		Numbers []struct {
			Number string `json:"phone_number"`
		} `json:"available_phone_numbers"`
	}
	query := url.Values{"AreaCode": {search.AreaCode}, "PageSize": {"1000"}}
	code, err := t.call(ctx, http.MethodGet, "AvailablePhoneNumbers/"+search.Country+"/Local.json", query, &found)
	switch {
	case err != nil:
		return "", err
	case code != http.StatusOK:
		return "", fmt.Errorf("the search was answered with %d", code)
	case len(found.Numbers) == 0:
		return "", errors.New("no number is on sale")
	}
	return found.Numbers[rand.IntN(len(found.Numbers))].Number, nil
}

func (t *twilio) buy(ctx context.Context, number, name string) (string, error) {
	var bought struct {
		SID string `json:"sid"`
	}
	code, err := t.call(ctx, http.MethodPost, "IncomingPhoneNumbers.json", url.Values{
		"PhoneNumber":  {number},
		"FriendlyName": {name},
		"VoiceUrl":     {"https://voice.example.com/twiml"},
		"VoiceMethod":  {http.MethodPost},
		"SmsUrl":       {"https://voice.example.com/twiml"},
		"SmsMethod":    {http.MethodPost},
	}, &bought)
	switch {
	case err != nil:
		return "", err
	case code == http.StatusBadRequest:
		return "", errTaken
	case code != http.StatusCreated:
		return "", fmt.Errorf("the purchase was answered with %d", code)
	}
	return bought.SID, nil
}

func (t *twilio) release(ctx context.Context, sid string) error {
	code, err := t.call(ctx, http.MethodDelete, "IncomingPhoneNumbers/"+sid+".json", nil, nil)
	if err == nil && code != http.StatusNoContent && code != http.StatusNotFound {
		return fmt.Errorf("the release was answered with %d", code)
	}
	return err
}

type reconciler struct {
	client.Client
	twilio *twilio
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	log := ctrl.LoggerFrom(ctx)
	var number PhoneNumber
	if err := r.Get(ctx, request.NamespacedName, &number); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !number.DeletionTimestamp.IsZero() {
		if number.Status.ID != "" {
			if err := r.twilio.release(ctx, number.Status.ID); err != nil {
				return ctrl.Result{}, err
			}
			log.Info("released", "number", number.Status.PhoneNumber)
		}
		before := number.copied()
		controllerutil.RemoveFinalizer(&number, finalizer)
		return ctrl.Result{}, client.IgnoreNotFound(r.Patch(ctx, &number, client.MergeFrom(&before)))
	}
	if number.Status.ID != "" {
		return ctrl.Result{}, nil
	}
	if !controllerutil.ContainsFinalizer(&number, finalizer) {
		before := number.copied()
		controllerutil.AddFinalizer(&number, finalizer)
		if err := r.Patch(ctx, &number, client.MergeFrom(&before)); err != nil {
			return ctrl.Result{}, err
		}
	}
	name := number.Namespace + "/" + number.Name
	candidate, sid, err := r.buyAny(ctx, number.Spec.Search, name)
	if err != nil {
		return ctrl.Result{}, err
	}
	number.Status.ObservedGeneration = number.Generation
	number.Status.PhoneNumber = candidate
	number.Status.ID = sid
	number.Status.AccountID = r.twilio.account
	number.Status.Twilio = &Twilio{SID: sid, FriendlyName: name}
	meta.SetStatusCondition(&number.Status.Conditions, metav1.Condition{
		Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready",
		Message: candidate + " is bought and configured.", ObservedGeneration: number.Generation,
	})
	if err := r.Status().Update(ctx, &number); err != nil {
		return ctrl.Result{}, err
	}
	log.Info("bought", "number", candidate, "sid", sid)
	return ctrl.Result{}, nil
}

// buyAny searches and buys until nobody else was faster.
func (r *reconciler) buyAny(ctx context.Context, search Search, name string) (candidate, sid string, err error) {
	for range searches {
		candidate, err = r.twilio.search(ctx, search)
		if err != nil {
			return "", "", err
		}
		sid, err = r.twilio.buy(ctx, candidate, name)
		if !errors.Is(err, errTaken) {
			return candidate, sid, err
		}
	}
	return "", "", err
}

func run() error {
	var namespace, endpoint string
	workers := 32
	flag.StringVar(&namespace, "namespace", "", "The namespace to work in.")
	flag.StringVar(&endpoint, "twilio", "", "Where Twilio is.")
	flag.IntVar(&workers, "workers", workers, "How many numbers are reconciled at once.")
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseDevMode(false)))

	scheme := runtime.NewScheme()
	group := schema.GroupVersion{Group: "telephony.burki.dev", Version: "v1alpha1"}
	scheme.AddKnownTypes(group, &PhoneNumber{}, &PhoneNumberList{})
	metav1.AddToGroupVersion(scheme, group)

	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// As kube's client does: no limit of its own.
	config.QPS = -1
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Metrics: server.Options{BindAddress: "0"},
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = workers
	twilio := &twilio{
		endpoint: endpoint,
		account:  os.Getenv("TWILIO_ACCOUNT_SID"),
		token:    os.Getenv("TWILIO_AUTH_TOKEN"),
		http:     &http.Client{Transport: transport, Timeout: 30 * time.Second},
	}
	// A status that it wrote itself is no news.
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return true },
		UpdateFunc:  func(e event.UpdateEvent) bool { return !e.ObjectNew.GetDeletionTimestamp().IsZero() },
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	})
	err = ctrl.NewControllerManagedBy(manager).
		For(&PhoneNumber{}).
		WithEventFilter(changed).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{Client: manager.GetClient(), twilio: twilio})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
